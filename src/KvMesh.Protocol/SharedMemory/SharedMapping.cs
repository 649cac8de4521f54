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
    private const int MapPrivate = 2;
    private const int MapFixed = 0x10;
    private const int MapAnonymous = 0x20;
    private const int MapNoReserve = 0x4000;

    /// <summary>What a huge page of common processors holds.</summary>
    private const long HugePageBytes = 2L << 20;

    private SharedMapping(nint address, long bytes)
        : base(ownsHandle: true)
    {
        SetHandle(address);
        Bytes = bytes;
    }

    /// <summary>Bytes mapped.</summary>
    public long Bytes { get; }

    /// <summary>Maps the first <paramref name="bytes"/> of a file.</summary>
    /// <remarks>
    /// The address is a multiple of 2 MiB, as the offset in the file is: whatever the kernel keeps in huge pages is mapped by huge pages.
    /// </remarks>
    /// <exception cref="IOException">The kernel refuses, or the file is shorter than <paramref name="bytes"/>.</exception>
    public static SharedMapping Map(SafeFileHandle file, long bytes, bool writable)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        var length = RandomAccess.GetLength(file);
        if (length < bytes)
        {
            throw new IOException($"The shared file has {length} bytes; {bytes} were to be mapped.");
        }

        var address = Reserve(bytes);
        if (MapMemory(address, (nuint)bytes, writable ? ProtectRead | ProtectWrite : ProtectRead, MapShared | MapFixed, file, 0) != address)
        {
            var failure = Failure(bytes);
            _ = UnmapMemory(address, (nuint)bytes);
            throw failure;
        }

        return new SharedMapping(address, bytes);
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

    /// <summary>Where the mapping begins. Valid until it is disposed.</summary>
    public byte* Start => (byte*)handle;

    protected override bool ReleaseHandle() => UnmapMemory(handle, (nuint)Bytes) == 0;

    /// <summary>Addresses of that length that nobody has, from a multiple of 2 MiB on: a larger range, less what is too much at both ends.</summary>
    private static nint Reserve(long bytes)
    {
        var length = (bytes + Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize;
        var found = ReserveMemory(0, (nuint)(length + HugePageBytes), 0, MapPrivate | MapAnonymous | MapNoReserve, -1, 0);
        if (found == -1)
        {
            throw Failure(bytes);
        }

        var start = (nint)((found + HugePageBytes - 1) / HugePageBytes * HugePageBytes);
        if (start > found)
        {
            _ = UnmapMemory(found, (nuint)(start - found));
        }

        _ = UnmapMemory((nint)(start + length), (nuint)(HugePageBytes - (start - found)));
        return start;
    }

    private static IOException Failure(long bytes) =>
        new($"Mapping {bytes} bytes of shared memory failed: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MapMemory(nint address, nuint bytes, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint ReserveMemory(nint address, nuint bytes, int protection, int flags, int noFile, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int UnmapMemory(nint address, nuint bytes);
}
