using System.Runtime.InteropServices;

namespace KvMesh.LoadTest.Verbs;

/// <summary>A file that passes by the page cache: plain system calls, the baseline of the disk tier. Buffers begin on 4,096 bytes.</summary>
internal sealed unsafe partial class DirectFile : IDisposable
{
    private const int ReadWriteCreate = 0x42;
    private const int OwnerOnly = 0b110_000_000;

    private readonly string _path;
    private readonly int _descriptor;

    /// <summary>Makes a file of <paramref name="bytes"/> whose space is set aside at once, as the tier does with its segments.</summary>
    public DirectFile(string path, long bytes)
    {
        _path = path;
        var direct = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x10000 : 0x4000;
        _descriptor = Open(path, ReadWriteCreate | direct, OwnerOnly);
        if (_descriptor < 0)
        {
            throw new LoadTestException($"{path} cannot be opened with O_DIRECT: {Error()}.");
        }

        if (Allocate(_descriptor, 0, 0, bytes) != 0)
        {
            throw new LoadTestException($"{bytes} bytes cannot be set aside in {path}: {Error()}.");
        }
    }

    public void Write(long offset, byte* buffer, int bytes)
    {
        if (WriteAt(_descriptor, buffer, (nuint)bytes, offset) != bytes)
        {
            throw new LoadTestException($"Writing {bytes} bytes at {offset} of {_path} failed: {Error()}.");
        }
    }

    public void Read(long offset, byte* buffer, int bytes)
    {
        if (ReadAt(_descriptor, buffer, (nuint)bytes, offset) != bytes)
        {
            throw new LoadTestException($"Reading {bytes} bytes at {offset} of {_path} failed: {Error()}.");
        }
    }

    public void Sync()
    {
        if (DataSync(_descriptor) != 0)
        {
            throw new LoadTestException($"Syncing {_path} failed: {Error()}.");
        }
    }

    public void Dispose()
    {
        _ = Close(_descriptor);
        File.Delete(_path);
    }

    private static string Error() => Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(int descriptor, int mode, long offset, long bytes);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    private static partial nint WriteAt(int descriptor, byte* buffer, nuint bytes, long offset);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static partial nint ReadAt(int descriptor, byte* buffer, nuint bytes, long offset);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int DataSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
