namespace KvMesh.Engine.Disk;

/// <summary>
/// Small records gathered into one write. Made by <see cref="DiskTier.CreateBatch"/>, used by one thread at a time, and empty again
/// after <see cref="DiskTier.TryAppend(DiskBatch, Span{DiskLocation})"/>, whether that succeeded or not.
/// </summary>
internal sealed class DiskBatch : IDisposable
{
    /// <summary>Where device and file system are at full speed; more would only delay the first record.</summary>
    public const int MaxBytes = 4 * 1024 * 1024;

    private readonly AlignedBuffer _buffer;
    private readonly List<BatchEntry> _entries = [];
    private int _usedBytes;

    internal DiskBatch(long segmentBytes) => _buffer = new AlignedBuffer((int)Math.Min(MaxBytes, segmentBytes / 4));

    public int Count => _entries.Count;

    internal Span<byte> Bytes => _buffer.Span[.._usedBytes];

    /// <summary>Copies a record and its extent in. False when the batch has no room for it: append the batch, then try again.</summary>
    public bool TryAdd(in DiskRecord record, ReadOnlySpan<byte> extent)
    {
        var bytes = RecordHeader.RecordBytes(record);
        if (bytes > _buffer.Length - _usedBytes)
        {
            return false;
        }

        var target = _buffer.Span.Slice(_usedBytes, (int)bytes);
        var granule = target[..Protocol.Limits.GranuleBytes];
        granule.Clear();
        var prefix = RecordHeader.Compose(granule, record, extent);
        extent[..(target.Length - granule.Length)].CopyTo(target[granule.Length..]);
        _entries.Add(new BatchEntry(_usedBytes, (int)bytes, prefix, record.Sequence));
        _usedBytes += (int)bytes;
        return true;
    }

    /// <summary>Whether a record of this size can ever be in a batch; a larger one is appended by itself.</summary>
    public bool Fits(in DiskRecord record) => RecordHeader.RecordBytes(record) <= _buffer.Length;

    public void Clear()
    {
        _entries.Clear();
        _usedBytes = 0;
    }

    public void Dispose() => _buffer.Dispose();

    internal BatchEntry Entry(int index) => _entries[index];

    /// <summary>The entry, with the next number if it has none yet.</summary>
    internal BatchEntry Number(int index, SegmentSet segments) =>
        _entries[index].Sequence != 0 ? _entries[index] : _entries[index] = _entries[index] with { Sequence = segments.NextSequence() };
}

/// <summary>Where one record lies in a batch.</summary>
internal readonly record struct BatchEntry(int Offset, int Bytes, int PrefixBytes, long Sequence);
