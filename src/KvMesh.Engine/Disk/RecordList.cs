using System.Buffers;
using System.Runtime.InteropServices;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Disk;

/// <summary>First bytes of a segment's checkpoint, little-endian.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal struct RecordListHeader
{
    /// <summary>"KVMLISTS".</summary>
    public const ulong ExpectedMagic = 0x5354_5349_4C4D_564B;

    public const uint CurrentVersion = 1;

    /// <summary>Bytes of this structure.</summary>
    public const int Bytes = 64;

    public ulong Magic;
    public uint Version;

    /// <summary>CRC-32C over everything after this field.</summary>
    public uint Checksum;

    public Guid Store;
    public int Number;

    /// <summary>1 when nothing was or will be appended after <see cref="CoveredBytes"/>.</summary>
    public int IsClosed;

    /// <summary>Records that begin before this offset of the segment are listed, unless they are dead.</summary>
    public long CoveredBytes;

    public long ListBytes;
    public int Count;
    public uint Reserved;
}

/// <summary>
/// The checkpoint of one segment: offset and header of each live record, so that a start reads one file instead of a granule per record.
/// An entry is offset (8) ‖ length of the header up to the end of the key (4) ‖ those bytes. Used by one thread at a time.
/// </summary>
internal sealed class RecordList
{
    private const int ChecksummedFrom = 16;
    private const int EntryHeaderBytes = 12;
    private readonly ArrayBufferWriter<byte> _entries = new();

    public int Count { get; private set; }

    /// <summary>The entries, for <see cref="Reader"/>.</summary>
    public ReadOnlySpan<byte> Entries => _entries.WrittenSpan;

    public void Add(long offset, ReadOnlySpan<byte> prefix)
    {
        var entry = _entries.GetSpan(EntryHeaderBytes + prefix.Length);
        MemoryMarshal.Write(entry, offset);
        MemoryMarshal.Write(entry[sizeof(long)..], prefix.Length);
        prefix.CopyTo(entry[EntryHeaderBytes..]);
        _entries.Advance(EntryHeaderBytes + prefix.Length);
        Count++;
    }

    /// <summary>The whole file.</summary>
    public byte[] ToFile(Guid store, int number, bool isClosed, long coveredBytes)
    {
        var file = new byte[RecordListHeader.Bytes + _entries.WrittenCount];
        _entries.WrittenSpan.CopyTo(file.AsSpan(RecordListHeader.Bytes));
        ref var header = ref MemoryMarshal.AsRef<RecordListHeader>(file.AsSpan());
        header.Magic = RecordListHeader.ExpectedMagic;
        header.Version = RecordListHeader.CurrentVersion;
        header.Store = store;
        header.Number = number;
        header.IsClosed = isClosed ? 1 : 0;
        header.CoveredBytes = coveredBytes;
        header.ListBytes = file.Length;
        header.Count = Count;
        header.Checksum = Crc32C.Compute(file.AsSpan(ChecksummedFrom));
        return file;
    }

    /// <summary>Checks a file that came off a disk. False: it is not the checkpoint of that segment, or damaged.</summary>
    public static bool TryOpen(ReadOnlySpan<byte> file, Guid store, int number, out RecordListHeader header, out ReadOnlySpan<byte> entries)
    {
        header = default;
        entries = default;
        if (file.Length < RecordListHeader.Bytes)
        {
            return false;
        }

        header = MemoryMarshal.Read<RecordListHeader>(file);
        if (header.Magic != RecordListHeader.ExpectedMagic || header.Version != RecordListHeader.CurrentVersion || header.Store != store
            || header.Number != number || header.ListBytes < RecordListHeader.Bytes || header.ListBytes > file.Length
            || header.Checksum != Crc32C.Compute(file[ChecksummedFrom..(int)header.ListBytes]))
        {
            return false;
        }

        entries = file[RecordListHeader.Bytes..(int)header.ListBytes];
        return true;
    }

    /// <summary>Walks entries. A malformed one ends the walk.</summary>
    internal ref struct Reader(ReadOnlySpan<byte> entries)
    {
        private ReadOnlySpan<byte> _rest = entries;

        public readonly int RestBytes => _rest.Length;

        public bool TryNext(out long offset, out ReadOnlySpan<byte> prefix)
        {
            offset = 0;
            prefix = default;
            if (_rest.Length < EntryHeaderBytes)
            {
                return false;
            }

            offset = MemoryMarshal.Read<long>(_rest);
            var length = MemoryMarshal.Read<int>(_rest[sizeof(long)..]);
            if (length < 0 || length > _rest.Length - EntryHeaderBytes)
            {
                return false;
            }

            prefix = _rest.Slice(EntryHeaderBytes, length);
            _rest = _rest[(EntryHeaderBytes + length)..];
            return true;
        }
    }
}
