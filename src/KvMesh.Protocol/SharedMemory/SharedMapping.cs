using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Protocol.SharedMemory;

/// <summary>
/// A shared file mapped into this process. The mapping outlives the descriptor and ends with <see cref="SafeHandle.Dispose()"/>; spans over it
/// must not be used after that, so whoever hands spans out holds a reference (<see cref="SafeHandle.DangerousAddRef"/>) for as long.
/// The bytes may change under a reader at any time: the other process decides that.
/// </summary>
public sealed unsafe partial class SharedMapping : SafeHandleZeroOrMinusOneIsInvalid
{
    private const int ProtectRead = 1;
    private const int ProtectWrite = 2;
    private const int MapShared = 1;
    private const int MapPopulate = 0x8000;

    private SharedMapping(nint address, long bytes)
        : base(ownsHandle: true)
    {
        SetHandle(address);
        Bytes = bytes;
    }

    /// <summary>Bytes mapped.</summary>
    public long Bytes { get; }

    /// <summary>Maps the first <paramref name="bytes"/> of a file.</summary>
    /// <param name="populate">Maps all present pages at once, so that the first pass over them does not fault.</param>
    /// <exception cref="IOException">The kernel refuses, or the file is shorter than <paramref name="bytes"/>.</exception>
    public static SharedMapping Map(SafeFileHandle file, long bytes, bool writable, bool populate = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        var length = RandomAccess.GetLength(file);
        if (length < bytes)
        {
            throw new IOException($"The shared file has {length} bytes; {bytes} were to be mapped.");
        }

        var address = MapMemory(0, (nuint)bytes, writable ? ProtectRead | ProtectWrite : ProtectRead, populate ? MapShared | MapPopulate : MapShared, file, 0);
        return address == -1
            ? throw new IOException($"Mapping {bytes} bytes of shared memory failed: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.")
            : new SharedMapping(address, bytes);
    }

    /// <summary>Bytes of the mapping; throws <see cref="ArgumentOutOfRangeException"/> when they are not all inside it.</summary>
    public Span<byte> Slice(long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Bytes - count);
        ObjectDisposedException.ThrowIf(IsClosed, this);
        return new Span<byte>((byte*)handle + offset, count);
    }

    protected override bool ReleaseHandle() => UnmapMemory(handle, (nuint)Bytes) == 0;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MapMemory(nint address, nuint bytes, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int UnmapMemory(nint address, nuint bytes);
}
