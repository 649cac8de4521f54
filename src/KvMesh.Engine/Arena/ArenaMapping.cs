using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using KvMesh.Protocol;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.SharedMemory;

namespace KvMesh.Engine.Arena;

/// <summary>
/// An arena file mapped for writing: header page, descriptor table, data. One process maps it so, its clients map it
/// read-only. All pointers of the engine come from here and are valid until <see cref="Dispose"/>, which the host tier calls
/// after the last read has ended.
/// </summary>
internal sealed unsafe partial class ArenaMapping : IDisposable
{
    private const int PopulateWrite = 23;
    private const int Collapse = 25;
    private const int InvalidArgument = 22;
    private const long HugePageBytes = 2L << 20;

    private readonly ArenaLock _lock;
    private readonly SharedMapping _mapping;
    private readonly ArenaBacking _backing;
    private readonly byte* _base;
    private readonly long _dataOffset;

    /// <summary>Whether the kernel makes huge pages of shared memory; null while that is not known.</summary>
    private bool? _hasHugePages;

    private ArenaMapping(string path, ArenaLock ownership, SharedMapping mapping, ArenaBacking backing, long dataOffset, long dataBytes, bool isAdopted)
    {
        Path = path;
        _lock = ownership;
        DataBytes = dataBytes;
        IsAdopted = isAdopted;
        _mapping = mapping;
        _backing = backing;
        _dataOffset = dataOffset;
        _base = mapping.Start;
    }

    public string Path { get; }

    public long DataBytes { get; }

    /// <summary>Whether the file holds blocks of an earlier process that may be adopted.</summary>
    public bool IsAdopted { get; }

    public ref ArenaHeader Header => ref Unsafe.AsRef<ArenaHeader>(_base);

    /// <summary>Maps the arena of a data directory, keeping what is in it when its shape is as asked.</summary>
    /// <param name="isFull">Says that there is no memory left, for tests; null: the kernel does.</param>
    /// <exception cref="EngineStartException">Another process has the arena, or the file system has no room for the first pages.</exception>
    public static ArenaMapping Open(string path, string dataDirectory, long dataBytes, int descriptorCount, Func<bool>? isFull = null)
    {
        var dataOffset = DataOffset(descriptorCount);
        var ownership = TakeOver(path, () => HasShape(path, dataBytes, dataOffset, descriptorCount), out var isAdopted);
        ArenaBacking? backing = null;
        try
        {
            var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            RandomAccess.SetLength(file, dataOffset + dataBytes);
            backing = new ArenaBacking(file, dataOffset + dataBytes, isFull);
            if (!backing.TryBack(0, Limits.GranuleBytes))
            {
                throw new EngineStartException($"Engine:ArenaBytes asks for {dataBytes} bytes in {path}, but that file system, or the memory, is full.");
            }

            var memory = SharedMapping.Map(file, dataOffset + dataBytes, writable: true);
            var mapping = new ArenaMapping(path, ownership, memory, backing, dataOffset, dataBytes, isAdopted);
            mapping.TakeOwnership(dataDirectory, descriptorCount);
            return mapping;
        }
        catch
        {
            backing?.Dispose();
            ownership.Dispose();
            throw;
        }
    }

    /// <summary>Bytes of the whole file for that much data.</summary>
    public static long FileBytes(long dataBytes, int descriptorCount) => DataOffset(descriptorCount) + dataBytes;

    /// <summary>The header of a file and the data directory it names, or false when it is no arena of this version.</summary>
    public static bool TryReadHeader(string path, out ArenaHeader header, out string dataDirectory)
    {
        header = default;
        dataDirectory = "";
        Span<byte> page = stackalloc byte[Limits.GranuleBytes];
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (RandomAccess.Read(handle, page, 0) != page.Length)
        {
            return false;
        }

        header = MemoryMarshal.Read<ArenaHeader>(page);
        if (header.Magic != ArenaHeader.ExpectedMagic || header.Version != ArenaHeader.CurrentVersion
            || (uint)header.DataDirectoryBytes > Limits.GranuleBytes - ArenaHeader.DataDirectoryOffset)
        {
            return false;
        }

        dataDirectory = Encoding.UTF8.GetString(page.Slice(ArenaHeader.DataDirectoryOffset, header.DataDirectoryBytes));
        return true;
    }

    public ref BlockDescriptor Descriptor(int index) =>
        ref Unsafe.AsRef<BlockDescriptor>(_base + Limits.GranuleBytes + ((long)index * BlockDescriptor.Bytes));

    /// <summary>Whether a range of the data area has memory behind it, so that it may be written. False: there is none left.</summary>
    public bool TryBack(long offset, long bytes) => _backing.TryBack(_dataOffset + offset, bytes);

    /// <summary>Whether a descriptor has memory behind it.</summary>
    public bool TryBackDescriptor(int index) => _backing.TryBack(Limits.GranuleBytes + ((long)index * BlockDescriptor.Bytes), BlockDescriptor.Bytes);

    /// <summary>Parts of the data area without memory behind them, in whole granules.</summary>
    public IEnumerable<(long Offset, long Bytes)> UnbackedRuns() =>
        from run in _backing.UnbackedRuns()
        let start = Math.Max(run.Offset - _dataOffset, 0)
        let bytes = run.Offset + run.Bytes - _dataOffset - start
        where bytes > 0
        select (start, bytes);

    /// <summary>Bytes of the data area. The caller holds the extent: reserved, or open for reading.</summary>
    public Span<byte> Data(long offset, int bytes) => new(_base + _dataOffset + offset, bytes);

    public Span<uint> Words(long offset, int count) => new(_base + _dataOffset + offset, count);

    /// <summary>
    /// Backs a range with memory without changing its content, so that later writes do not fault: in huge pages where the kernel can, which
    /// is several times faster here and up to a quarter for each later pass. What remains of a huge page at the end of the range is
    /// left to the range behind it, if there is one. False: the kernel cannot populate.
    /// </summary>
    /// <param name="hugeBytes">Bytes that are in huge pages now.</param>
    public bool TryPopulate(long offset, long bytes, out long hugeBytes)
    {
        hugeBytes = 0;
        var isLast = offset + bytes == DataBytes;
        var start = (_dataOffset + offset) / HugePageBytes * HugePageBytes;
        var hugeEnd = (_dataOffset + offset + bytes) / HugePageBytes * HugePageBytes;
        for (var page = start; _hasHugePages != false && page < hugeEnd; page += HugePageBytes)
        {
            // One small page is enough for the kernel to make a huge one of, and cheaper than to copy 512.
            if (Advise(_base + page, Limits.GranuleBytes, PopulateWrite) == 0 && Advise(_base + page, (nuint)HugePageBytes, Collapse) == 0)
            {
                hugeBytes += HugePageBytes;
                _hasHugePages = true;
            }
            else if (Marshal.GetLastPInvokeError() == InvalidArgument)
            {
                // Later it may be a page that is in use just now, which stays small.
                _hasHugePages ??= false;
            }
        }

        var end = isLast ? _dataOffset + DataBytes : hugeEnd;
        if (end > start && Advise(_base + start, (nuint)(end - start), PopulateWrite) != 0)
        {
            return false;
        }

        _backing.NoteBacked(start, Math.Max(end - start, 0));
        return true;
    }

    public void Dispose()
    {
        Header.OwnerProcessId = 0;
        _mapping.Dispose();
        _backing.Dispose();
        _lock.Dispose();
    }

    /// <summary>Locks the file. One of another shape gives way to a new one: clients may still have it mapped, so it is not cut short.</summary>
    private static ArenaLock TakeOver(string path, Func<bool> hasShape, out bool isAdopted)
    {
        if (File.Exists(path))
        {
            var existing = Lock(path);
            isAdopted = hasShape();
            if (isAdopted)
            {
                return existing;
            }

            File.Delete(path);
            existing.Dispose();
        }

        isAdopted = false;
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite | FileShare.Delete,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        using (new FileStream(path, options))
        {
            return Lock(path);
        }
    }

    private static ArenaLock Lock(string path)
    {
        ArenaLock? taken = null;
        SpinWait.SpinUntil(() => (taken = ArenaLock.TryTake(path)) is not null, ArenaLock.Patience);
        return taken ?? throw new EngineStartException(
            $"Engine:ArenaDirectory: {path} is in use by another process, perhaps in another container that shares {System.IO.Path.GetDirectoryName(path)}. "
            + "Two nodes have one data directory, or one is a copy of the other's: stop one, or give it a data directory of its own.");
    }

    private static long DataOffset(int descriptorCount)
    {
        var tableBytes = (long)descriptorCount * BlockDescriptor.Bytes;
        return Limits.GranuleBytes + ((tableBytes + Limits.GranuleBytes - 1) / Limits.GranuleBytes * Limits.GranuleBytes);
    }

    private static bool HasShape(string path, long dataBytes, long dataOffset, int descriptorCount) =>
        File.Exists(path)
        && new FileInfo(path).Length == dataOffset + dataBytes
        && TryReadHeader(path, out var header, out _)
        && header.DataBytes == dataBytes
        && header.DataOffset == dataOffset
        && header.DescriptorCount == descriptorCount
        && (uint)header.DescriptorHighWater <= (uint)descriptorCount;

    private void TakeOwnership(string dataDirectory, int descriptorCount)
    {
        ref var header = ref Header;
        header.Version = ArenaHeader.CurrentVersion;
        header.OwnerProcessId = Environment.ProcessId;
        header.MountNamespace = ArenaFiles.MountNamespace;
        header.Incarnation++;
        header.DataBytes = DataBytes;
        header.DataOffset = _dataOffset;
        header.DescriptorCount = descriptorCount;
        var room = new Span<byte>(_base + ArenaHeader.DataDirectoryOffset, Limits.GranuleBytes - ArenaHeader.DataDirectoryOffset);
        header.DataDirectoryBytes = Encoding.UTF8.GetBytes(dataDirectory, room);
        Volatile.Write(ref header.Magic, ArenaHeader.ExpectedMagic);
    }

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int Advise(void* address, nuint bytes, int advice);
}
