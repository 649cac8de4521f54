using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Engine.Arena;

/// <summary>
/// Makes a process the only one that writes to an arena file. The kernel keeps the lock for this open file: it holds between containers that share
/// a memory file system, whose process ids and folders mean nothing to each other, and it ends with the process, however that ends. Descriptors that clients
/// get come of other opens and do not carry it.
/// </summary>
internal sealed unsafe partial class ArenaLock : IDisposable
{
    private const int GetLock = 36;
    private const int SetLock = 37;
    private const short WriteLock = 1;
    private const short Unlocked = 2;
    private const int WouldBlock = 11;
    private const int Denied = 13;

    /// <summary>
    /// How long to wait for a lock that is held. Whatever is open while this process starts another one is that one's too until its program runs: a
    /// lock that was given back at such a moment is held for that much longer.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly SafeFileHandle _file;

    private ArenaLock(SafeFileHandle file) => _file = file;

    /// <summary>Takes the lock of a file that is there. Null: another process has it, or another mapping of this one.</summary>
    /// <exception cref="IOException">The file cannot be opened, or its file system knows no locks.</exception>
    public static ArenaLock? TryTake(string path)
    {
        var file = Open(path, FileAccess.ReadWrite);
        var request = new Request { Type = WriteLock };
        if (Control(file, SetLock, &request) == 0)
        {
            return new ArenaLock(file);
        }

        var error = Marshal.GetLastPInvokeError();
        file.Dispose();
        return error is WouldBlock or Denied ? null : throw new IOException($"{path} cannot be locked: {new Win32Exception(error).Message}.");
    }

    /// <summary>Whether somebody has the lock of a file.</summary>
    public static bool IsHeld(string path)
    {
        using var file = Open(path, FileAccess.Read);
        var request = new Request { Type = WriteLock };
        return Control(file, GetLock, &request) != 0 || request.Type != Unlocked;
    }

    public void Dispose() => _file.Dispose();

    private static SafeFileHandle Open(string path, FileAccess access) =>
        File.OpenHandle(path, FileMode.Open, access, FileShare.ReadWrite | FileShare.Delete);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, int command, Request* request);

    /// <summary>struct flock of 64-bit Linux; zeros are the whole file.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Request
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Length;
        public int ProcessId;
    }
}
