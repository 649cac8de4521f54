namespace KvMesh.Engine.Disk;

/// <summary>
/// Empties segments as a whole, in bounded steps: of each live record the engine decides whether it is copied or goes. A segment whose
/// bytes nobody would miss comes first, else the oldest. Of a few segments together at most three quarters are copied, and never all of one, so that rounds free
/// more than they fill: one with more that was promised to stay is spared for a while, as long as spared ones are at most half of what files may take. Beyond
/// that promises are broken, and counted. One thread at a time.
/// </summary>
internal sealed class Reclaimer(
    DiskContext context, SegmentSet segments, RecordReader reader, RecordWriter writer, RemovalLog removals, IDiskReclaimObserver observer)
    : IDisposable
{
    /// <summary>One step copies about this much, a few tens of milliseconds of a disk's time.</summary>
    private const long StepBytes = 32L * 1024 * 1024;

    private const int StepRecords = 4096;
    private const int CopyBytes = 4 * 1024 * 1024;

    /// <summary>How long a segment is left alone because of promises: they end, mostly, within a minute or two.</summary>
    private static readonly TimeSpan SparingTime = TimeSpan.FromSeconds(10);

    /// <summary>Segments that are left alone, and since when.</summary>
    private readonly Dictionary<Segment, long> _spared = [];
    private AlignedBuffer? _buffer;
    private Segment? _source;
    private RecordSlot[] _slots = [];
    private byte[] _list = [];
    private int _listPosition;
    private int _next;

    /// <summary>What may still be copied, and the part of it that is set aside for what was promised when the segment was chosen.</summary>
    private long _keepBytes;
    private long _promisedBytes;

    /// <summary>What earlier segments left of their share for later ones; and what was copied from the present one.</summary>
    private long _creditBytes;
    private long _copiedBytes;

    /// <summary>Whether a segment is half emptied.</summary>
    public bool IsBusy => _source is not null;

    public bool IsEmptying(Segment segment) => _source == segment;

    /// <summary>Chooses a segment to empty. False when none can go now: all are being filled, or spared.</summary>
    public bool TryBegin(bool mayKeep)
    {
        EndSparing();
        foreach (var candidate in Candidates())
        {
            _slots = candidate.LiveSlots();
            _list = ReadList(candidate);
            _listPosition = _next = 0;
            _keepBytes = mayKeep ? MayBeCopied(candidate) : 0;
            _promisedBytes = CountPromised(candidate);
            if (_promisedBytes <= _keepBytes || !TrySpare(candidate))
            {
                _source = candidate;
                _copiedBytes = 0;
                return true;
            }
        }

        _slots = [];
        _list = [];
        return false;
    }

    /// <summary>Goes on with the segment, and retires it at its end.</summary>
    public void Step()
    {
        var source = _source!;
        var header = context.Headers.Rent();
        long copied = 0;
        for (var records = 0; _next < _slots.Length && records < StepRecords && copied < StepBytes; records++)
        {
            copied += Empty(source, _slots[_next++], header.Span);
        }

        context.Headers.Return(header);
        if (_next < _slots.Length)
        {
            return;
        }

        // What was copied is on the device before the original goes.
        segments.TrySync();
        DiskCounters.Increment(ref context.Counters.ReclaimedSegments);
        DiskCounters.Add(ref context.Counters.ReclaimedBytes, source.File.Length);
        segments.Retire(source);
        _creditBytes = Math.Clamp(_creditBytes + ShareOf(source) - _copiedBytes, 0, source.File.Length);
        _source = null;
        _slots = [];
        _list = [];
    }

    public void Dispose() => _buffer?.Dispose();

    /// <summary>Deals with one record; returns the bytes that were copied.</summary>
    private long Empty(Segment source, in RecordSlot slot, Span<byte> header)
    {
        if (!source.TryFind(slot.Offset, out _))
        {
            return 0;
        }

        if (!TryDescribe(source, slot, header, out var record))
        {
            source.TryKill(slot.Offset, isRemoved: false, out _);
            return 0;
        }

        var location = new DiskLocation(source.Number, slot.Offset);
        var mayKeep = slot.Bytes <= _keepBytes - _promisedBytes;
        var verdict = observer.Decide(record, location, mayKeep, out var hits);
        var isPromised = verdict == ReclaimVerdict.Promised;
        var isKept = isPromised ? slot.Bytes <= _keepBytes : verdict == ReclaimVerdict.Keep && mayKeep;
        _promisedBytes = isPromised ? Math.Max(_promisedBytes - slot.Bytes, 0) : _promisedBytes;
        if (isKept && TryMove(source, slot, location, hits, header))
        {
            return slot.Bytes;
        }

        if (isPromised)
        {
            DiskCounters.Increment(ref context.Counters.BrokenPromises);
        }

        Drop(source, slot, location, record);
        return 0;
    }

    private bool TryMove(Segment source, in RecordSlot slot, DiskLocation from, uint hits, Span<byte> header)
    {
        if (!reader.TryReadHeader(source, slot, header, out var fields, out var record))
        {
            return false;
        }

        _buffer ??= new AlignedBuffer((int)Math.Min(CopyBytes, context.Options.EffectiveSegmentBytes));
        RecordHeader.SetHits(header, hits);
        if (!writer.TryCopy(source, slot, header, RecordHeader.PrefixBytes(fields), _buffer.Span, out var to))
        {
            return false;
        }

        _keepBytes -= slot.Bytes;
        _copiedBytes += slot.Bytes;
        DiskCounters.Increment(ref context.Counters.ReadmittedRecords);
        DiskCounters.Add(ref context.Counters.ReadmittedBytes, slot.Bytes);
        if (observer.Moved(record, from, to))
        {
            source.TryKill(slot.Offset, isRemoved: false, out _);
        }
        else
        {
            // Removed while it was copied: neither may come back.
            segments.TryRemove(source, slot.Offset, out _);
            if (segments.Find(to.Segment) is { } target && segments.TryRemove(target, to.Offset, out _))
            {
                removals.TryAppend(new RemovalEntry(slot.Sequence, to.Segment));
            }
        }

        return true;
    }

    /// <summary>
    /// The file goes in a while, and until then a crash would bring the record back: with an older value of an opaque key, or an expiry that was
    /// brought forward since. So its end is put on record, before anybody can find it gone, and then the engine forgets it.
    /// </summary>
    private void Drop(Segment source, in RecordSlot slot, DiskLocation location, in DiskRecord record)
    {
        removals.TryAppend(new RemovalEntry(slot.Sequence, source.Number));
        if (segments.TryRemove(source, slot.Offset, out _))
        {
            DiskCounters.Increment(ref context.Counters.DroppedRecords);
            DiskCounters.Add(ref context.Counters.DroppedBytes, slot.Bytes);
        }

        observer.Forget(record, location);
    }

    /// <summary>Bytes of the loaded records that are only here and were promised to stay; no more than it takes to exceed what may be copied.</summary>
    private long CountPromised(Segment segment)
    {
        var bytes = 0L;
        var header = context.Headers.Rent();
        foreach (var slot in _slots)
        {
            if (bytes > _keepBytes)
            {
                break;
            }

            if (TryDescribe(segment, slot, header.Span, out var record) && observer.IsPromised(record, new DiskLocation(segment.Number, slot.Offset)))
            {
                bytes += slot.Bytes;
            }
        }

        context.Headers.Return(header);
        _listPosition = 0;
        return bytes;
    }

    /// <summary>What of a segment may be copied: its share and what others left, and never so much that nothing is freed.</summary>
    private long MayBeCopied(Segment segment) => Math.Min(segment.File.Length / 16 * 15, ShareOf(segment) + _creditBytes);

    private static long ShareOf(Segment segment) => segment.File.Length / 4 * 3;

    private bool TrySpare(Segment segment)
    {
        if (_spared.Keys.Sum(spared => spared.File.Length) + segment.File.Length > segments.LimitBytes / 2)
        {
            return false;
        }

        _spared.Add(segment, context.Time.GetTimestamp());
        return true;
    }

    private void EndSparing()
    {
        foreach (var (segment, since) in _spared)
        {
            if (context.Time.GetElapsedTime(since) >= SparingTime || segments.Find(segment.Number) != segment)
            {
                _spared.Remove(segment);
            }
        }
    }

    /// <summary>What a record is, from the list, which is sorted as the slots are, or from its header.</summary>
    private bool TryDescribe(Segment source, in RecordSlot slot, Span<byte> header, out DiskRecord record)
    {
        var entries = new RecordList.Reader(_list.AsSpan(_listPosition));
        while (entries.TryNext(out var offset, out var prefix) && offset <= slot.Offset)
        {
            _listPosition = _list.Length - entries.RestBytes;
            if (offset == slot.Offset && RecordHeader.TryReadPrefix(prefix, out _, out record))
            {
                return true;
            }
        }

        return reader.TryReadHeader(source, slot, header, out _, out record);
    }

    private byte[] ReadList(Segment source)
    {
        if (source.TryCopyEntries(out var entries))
        {
            return entries;
        }

        return DiskFiles.ReadAll(context.Files, DiskFileNames.List(source.Number), out var content) == FileStatus.Ok
            && RecordList.TryOpen(content, context.Store, source.Number, out _, out var found)
                ? found.ToArray()
                : [];
    }

    private List<Segment> Candidates() =>
    [
        .. segments.All
            .Where(segment => segment.IsClosed && !_spared.ContainsKey(segment))
            .OrderByDescending(segment => EighthsOfWorthless(segment.Figures))
            .ThenBy(segment => segment.Number),
    ];

    /// <summary>In eighths, so that age decides among segments that are about as worthless.</summary>
    private static long EighthsOfWorthless(SegmentFigures figures) =>
        figures.UsedBytes == 0 ? 8 : figures.WorthlessBytes * 8 / figures.UsedBytes;
}
