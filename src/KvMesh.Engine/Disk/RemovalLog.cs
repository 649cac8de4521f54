using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Disk;

/// <summary>A record that must not come back: its sequence, and the segment that held it then.</summary>
internal readonly record struct RemovalEntry(long Sequence, int Segment)
{
    /// <summary>The record was being written, and nobody knew where to.</summary>
    public const int AnySegment = 0;
}

/// <summary>
/// What was removed or replaced since its record was written. A header stays in its segment until the segment goes, so without this log the
/// next start would take an old value for the present one. The log goes through the page cache, since the write of 16 bytes there is
/// enough to outlive the process and costs a system call, not an I/O; sync makes it outlive power loss.
/// A file is a header and entries of sequence (8) ‖ segment (4) ‖ CRC-32C of the two (4); zeros are entries that were never written. To get
/// rid of entries a new file is begun, takes what still matters, and only then the old one goes: reading all files is always right.
/// </summary>
internal sealed class RemovalLog : IDisposable
{
    private const int EntryBytes = 16;
    private const int EntriesPerWrite = 4096;
    private const long MinEntriesToRotate = 16 * 1024;
    private readonly DiskContext _context;
    private readonly ConcurrentQueue<RemovalEntry> _pending = new();
    private readonly List<Generation> _retiring = [];
    private volatile Generation? _current;
    private int _lastNumber;

    private RemovalLog(DiskContext context, int lastNumber)
    {
        _context = context;
        _lastNumber = lastNumber;
    }

    /// <summary>
    /// Begins a log that holds <paramref name="needed"/>, on the device when <paramref name="isComplete"/>. Without a file, when the disk
    /// refuses one, it takes no entries.
    /// </summary>
    public static RemovalLog Begin(DiskContext context, int lastNumber, List<RemovalEntry> needed, out bool isComplete)
    {
        var log = new RemovalLog(context, lastNumber);
        isComplete = log.TryBeginGeneration() && log.TryWrite(CollectionsMarshal.AsSpan(needed)) && log.TrySync();
        return log;
    }

    /// <summary>Whether the file holds so many entries that matter no more that a new one pays. <paramref name="needed"/> counts those that do.</summary>
    public bool IsWorthRotating(long needed) =>
        _retiring.Count > 0 || _current is null || (_current.Entries > MinEntriesToRotate && _current.Entries > 2 * needed);

    /// <summary>Entries in the present file.</summary>
    public long Entries => _current?.Entries ?? 0;

    /// <summary>Whether entries wait for <see cref="TryFlush"/>.</summary>
    public bool HasPending => !_pending.IsEmpty;

    public bool IsDirty => _current is { IsDirty: true };

    /// <summary>Writes an entry before it returns. False: it is not on record.</summary>
    public bool TryAppend(RemovalEntry entry) => TryWrite([entry]);

    /// <summary>Notes an entry that may be lost at the end of the process.</summary>
    public void AppendLater(RemovalEntry entry) => _pending.Enqueue(entry);

    /// <summary>Writes the noted entries. Maintenance only.</summary>
    public bool TryFlush()
    {
        if (_pending.IsEmpty)
        {
            return true;
        }

        var batch = new List<RemovalEntry>();
        while (_pending.TryDequeue(out var entry))
        {
            batch.Add(entry);
        }

        if (TryWrite(CollectionsMarshal.AsSpan(batch)))
        {
            return true;
        }

        batch.ForEach(_pending.Enqueue);
        return false;
    }

    /// <summary>Forces entries to the device, also those of a file on its way out. Never at the same time as <see cref="Rotate"/>.</summary>
    public bool TrySync()
    {
        var isOk = _current is not null;
        foreach (var log in _retiring)
        {
            isOk &= log.TrySync();
        }

        return isOk & (_current?.TrySync() ?? true);
    }

    /// <summary>
    /// Moves to a new file. <paramref name="collectNeeded"/> lists what must stay known; it is asked after the last write to the old file,
    /// so nothing falls between. Maintenance only, and never during <see cref="TrySync"/>. It ends at a later call when one is
    /// still writing to the old file.
    /// </summary>
    public void Rotate(Func<List<RemovalEntry>> collectNeeded)
    {
        if (_retiring.Count == 0)
        {
            var old = _current;
            if (!TryBeginGeneration())
            {
                return;
            }

            if (old is not null)
            {
                old.Uses.Close();
                _retiring.Add(old);
            }
        }

        if (!_retiring.TrueForAll(log => log.Uses.IsDrained))
        {
            return;
        }

        var needed = collectNeeded();
        if (!TryWrite(CollectionsMarshal.AsSpan(needed)) || !TrySync() || _context.Files.SyncDirectory() != FileStatus.Ok)
        {
            return;
        }

        foreach (var log in _retiring)
        {
            log.File.Dispose();
            _context.Files.Delete(DiskFileNames.Log(log.Number));
        }

        _retiring.Clear();
    }

    public void Dispose()
    {
        _current?.File.Dispose();
        _retiring.ForEach(log => log.File.Dispose());
    }

    /// <summary>Reads one file of entries. False: it is damaged, and what it said is not all known.</summary>
    public static bool TryRead(DiskContext context, string name, int number, ICollection<RemovalEntry> entries)
    {
        if (DiskFiles.ReadAll(context.Files, name, out var content) != FileStatus.Ok
            || !RemovalLogHeader.IsValid(content, context.Store, number))
        {
            return false;
        }

        var isWhole = true;
        for (var at = RemovalLogHeader.Bytes; at + EntryBytes <= content.Length; at += EntryBytes)
        {
            var bytes = content.AsSpan(at, EntryBytes);
            var sequence = MemoryMarshal.Read<long>(bytes);
            var segment = MemoryMarshal.Read<int>(bytes[8..]);
            if (MemoryMarshal.Read<uint>(bytes[12..]) == Crc32C.Compute(bytes[..12]))
            {
                entries.Add(new RemovalEntry(sequence, segment));
            }
            else
            {
                isWhole &= !bytes.ContainsAnyExcept((byte)0);
            }
        }

        return isWhole;
    }

    private bool TryBeginGeneration()
    {
        var number = ++_lastNumber;
        var name = DiskFileNames.Log(number);
        var status = _context.Files.Create(name + DiskFileNames.Unfinished, 0, direct: false, out var file);
        if (status == FileStatus.Ok)
        {
            status = file!.Write(0, RemovalLogHeader.Create(_context.Store, number), default);
            status = status == FileStatus.Ok ? file.Sync() : status;
            status = status == FileStatus.Ok ? _context.Files.Rename(name + DiskFileNames.Unfinished, name) : status;
            status = status == FileStatus.Ok ? _context.Files.SyncDirectory() : status;
        }

        if (status != FileStatus.Ok)
        {
            file?.Dispose();
            DiskCounters.Increment(ref _context.Counters.WriteErrors);
            return false;
        }

        _current = new Generation(number, file!);
        return true;
    }

    private bool TryWrite(ReadOnlySpan<RemovalEntry> entries)
    {
        while (!entries.IsEmpty)
        {
            var part = entries[..Math.Min(EntriesPerWrite, entries.Length)];
            if (!TryWritePart(part))
            {
                return false;
            }

            entries = entries[part.Length..];
        }

        return true;
    }

    private bool TryWritePart(ReadOnlySpan<RemovalEntry> entries)
    {
        Generation? log;
        do
        {
            log = _current;
            if (log is null)
            {
                return false;
            }
        }
        while (!log.Uses.TryEnter());

        Span<byte> single = stackalloc byte[EntryBytes];
        var bytes = entries.Length == 1 ? single : new byte[entries.Length * EntryBytes];
        for (var i = 0; i < entries.Length; i++)
        {
            var entry = bytes.Slice(i * EntryBytes, EntryBytes);
            MemoryMarshal.Write(entry, entries[i].Sequence);
            MemoryMarshal.Write(entry[8..], entries[i].Segment);
            MemoryMarshal.Write(entry[12..], Crc32C.Compute(entry[..12]));
        }

        var isOk = log.File.Write(log.Reserve(bytes.Length), bytes, default) == FileStatus.Ok;
        log.IsDirty = true;
        log.Uses.Leave();
        if (!isOk)
        {
            DiskCounters.Increment(ref _context.Counters.WriteErrors);
        }

        return isOk;
    }

    /// <summary>One file of the log.</summary>
    private sealed class Generation(int number, IBlockFile file)
    {
        private long _end = RemovalLogHeader.Bytes;
        private volatile bool _isDirty;

        public int Number { get; } = number;

        public IBlockFile File { get; } = file;

        public UseGate Uses { get; } = new();

        public bool IsDirty
        {
            get => _isDirty;
            set => _isDirty = value;
        }

        public long Entries => (Volatile.Read(ref _end) - RemovalLogHeader.Bytes) / EntryBytes;

        public bool TrySync()
        {
            if (!_isDirty)
            {
                return true;
            }

            _isDirty = false;
            var isOk = File.Sync() == FileStatus.Ok;
            _isDirty |= !isOk;
            return isOk;
        }

        public long Reserve(int bytes) => Interlocked.Add(ref _end, bytes) - bytes;
    }
}

/// <summary>First bytes of a removal log, little-endian.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal struct RemovalLogHeader
{
    /// <summary>"KVMGONES".</summary>
    public const ulong ExpectedMagic = 0x5345_4E4F_474D_564B;

    public const uint CurrentVersion = 1;

    /// <summary>Bytes of this structure; a multiple of an entry.</summary>
    public const int Bytes = 48;

    private const int ChecksummedFrom = 16;

    public ulong Magic;
    public uint Version;

    /// <summary>CRC-32C over everything after this field.</summary>
    public uint Checksum;

    public Guid Store;
    public long Number;
    public long Reserved;

    public static byte[] Create(Guid store, int number)
    {
        var bytes = new byte[Bytes];
        ref var header = ref MemoryMarshal.AsRef<RemovalLogHeader>(bytes.AsSpan());
        header.Magic = ExpectedMagic;
        header.Version = CurrentVersion;
        header.Store = store;
        header.Number = number;
        header.Checksum = Crc32C.Compute(bytes.AsSpan(ChecksummedFrom));
        return bytes;
    }

    public static bool IsValid(ReadOnlySpan<byte> file, Guid store, int number)
    {
        if (file.Length < Bytes)
        {
            return false;
        }

        var header = MemoryMarshal.Read<RemovalLogHeader>(file);
        return header.Magic == ExpectedMagic && header.Version == CurrentVersion && header.Store == store && header.Number == number
            && header.Checksum == Crc32C.Compute(file[ChecksummedFrom..Bytes]);
    }
}
