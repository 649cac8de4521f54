using System.Runtime.InteropServices;

namespace KvMesh.Engine.Disk;

/// <summary>
/// The system calls of the disk tier. .NET's own file classes know neither O_DIRECT nor fallocate and report errors by exceptions.
/// Memory is the caller's and must stay where it is during a call. Each returns -1 and sets errno when it fails.
/// </summary>
internal static unsafe partial class Libc
{
    public const int ReadWrite = 2;
    public const int Create = 0x40;
    public const int Truncate = 0x200;
    public const int CloseOnExec = 0x80000;

    public const int NotFound = 2;
    public const int Interrupted = 4;
    public const int InvalidArgument = 22;
    public const int NoSpace = 28;
    public const int NotSupported = 95;
    public const int QuotaExceeded = 122;

    /// <summary>O_DIRECT, which differs between processors.</summary>
    public static readonly int Direct = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x10000 : 0x4000;

    /// <summary>O_DIRECTORY, likewise.</summary>
    public static readonly int Directory = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x4000 : 0x10000;

    /// <summary>One piece of a gathered transfer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Piece
    {
        public byte* Start;
        public nint Bytes;
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "preadv", SetLastError = true)]
    public static partial nint ReadPieces(int descriptor, Piece* pieces, int count, long offset);

    [LibraryImport("libc", EntryPoint = "pwritev", SetLastError = true)]
    public static partial nint WritePieces(int descriptor, Piece* pieces, int count, long offset);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int SyncData(int descriptor);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(int descriptor, int mode, long offset, long bytes);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int SetLength(int descriptor, long bytes);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    public static partial long Seek(int descriptor, long offset, int origin);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Rename(string from, string to);

    [LibraryImport("libc", EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Unlink(string path);

    public static FileStatus StatusOf(int errno) => errno switch
    {
        NoSpace or QuotaExceeded => FileStatus.NoSpace,
        NotFound => FileStatus.NotFound,
        _ => FileStatus.Failed,
    };

    /// <summary>The status of the call that just failed on this thread.</summary>
    public static FileStatus LastStatus() => StatusOf(Marshal.GetLastPInvokeError());
}
