using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using KvMesh.Protocol;
using KvMesh.Protocol.Arena;

namespace KvMesh.Engine.Arena;

/// <summary>
/// An arena file mapped for writing: header page, descriptor table, data. One process maps it so, its clients map it
/// read-only. All pointers of the engine come from here and are valid until <see cref="Dispose"/>, which the host tier calls
/// after the last read has ended.
/// </summary>
internal sealed unsafe partial class ArenaMapping : IDisposable
{
    private const int PopulateWrite = 23;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _base;
    private readonly long _dataOffset;

    private ArenaMapping(string path, MemoryMappedFile file, long dataOffset, long dataBytes, bool isAdopted)
    {
        Path = path;
        DataBytes = dataBytes;
        IsAdopted = isAdopted;
        _file = file;
        _view = file.CreateViewAccessor(0, dataOffset + dataBytes, MemoryMappedFileAccess.ReadWrite);
        _dataOffset = dataOffset;
        byte* pointer = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        _base = pointer;
    }

    public string Path { get; }

    public long DataBytes { get; }

    /// <summary>Whether the file holds blocks of an earlier process that may be adopted.</summary>
    public bool IsAdopted { get; }

    public ref ArenaHeader Header => ref Unsafe.AsRef<ArenaHeader>(_base);

    /// <summary>Maps the arena of a data directory, keeping what is in it when its shape is as asked.</summary>
    public static ArenaMapping Open(string path, string dataDirectory, long dataBytes, int descriptorCount)
    {
        var dataOffset = DataOffset(descriptorCount);
        var isAdopted = HasShape(path, dataBytes, dataOffset, descriptorCount);
        if (!isAdopted)
        {
            File.Delete(path);
        }

        var options = new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite | FileShare.Delete,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        using var stream = new FileStream(path, options);
        stream.SetLength(dataOffset + dataBytes);
        var file = MemoryMappedFile.CreateFromFile(
            stream, mapName: null, dataOffset + dataBytes, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        var mapping = new ArenaMapping(path, file, dataOffset, dataBytes, isAdopted);
        mapping.TakeOwnership(dataDirectory, descriptorCount);
        return mapping;
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

    /// <summary>Bytes of the data area. The caller holds the extent: reserved, or open for reading.</summary>
    public Span<byte> Data(long offset, int bytes) => new(_base + _dataOffset + offset, bytes);

    public Span<uint> Words(long offset, int count) => new(_base + _dataOffset + offset, count);

    /// <summary>Backs a range with memory without changing its content, so that later writes do not fault.</summary>
    public bool TryPopulate(long offset, long bytes) => Advise(_base + _dataOffset + offset, (nuint)bytes, PopulateWrite) == 0;

    public void Dispose()
    {
        Header.OwnerProcessId = 0;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
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
        header.Incarnation++;
        header.DataBytes = DataBytes;
        header.DataOffset = _dataOffset;
        header.DescriptorCount = descriptorCount;
        var room = new Span<byte>(_base + ArenaHeader.DataDirectoryOffset, Limits.GranuleBytes - ArenaHeader.DataDirectoryOffset);
        header.DataDirectoryBytes = Encoding.UTF8.GetBytes(dataDirectory, room);
        Volatile.Write(ref header.Magic, ArenaHeader.ExpectedMagic);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint bytes, int advice);
}
