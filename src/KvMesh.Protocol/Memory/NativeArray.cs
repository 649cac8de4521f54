using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Protocol.Memory;

/// <summary>
/// An array outside the garbage collector's reach, zero at first and given back to the system at once when it is disposed. For tables
/// that are large, long-lived and replaced as a whole: their size is the process's, without slack and without a collection to wait for.
/// The owner decides when the last reader is done; an element must not be touched after that.
/// </summary>
public sealed unsafe class NativeArray<T> : IDisposable
    where T : unmanaged
{
    private readonly T* _items;
    private readonly nuint _bytes;
    private int _isDisposed;

    /// <param name="count">Elements, at least 1.</param>
    /// <exception cref="InsufficientMemoryException">The system has no memory left.</exception>
    public NativeArray(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        Count = count;
        _bytes = (nuint)count * (nuint)sizeof(T);
        _items = (T*)AnonymousMemory.Map(_bytes);
    }

    ~NativeArray() => Free();

    public int Count { get; }

    public long Bytes => (long)_bytes;

    /// <summary>An element. The bounds are the caller's to keep.</summary>
    public ref T this[int index]
    {
        get
        {
            Debug.Assert((uint)index < (uint)Count, "outside of the array");
            return ref _items[index];
        }
    }

    /// <summary>Tells the processor that this element is wanted soon.</summary>
    public void Prefetch(int index)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(_items + index);
        }
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_items is not null && Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            AnonymousMemory.Unmap((nint)_items, _bytes);
        }
    }
}

/// <summary>Pages that belong to no file.</summary>
internal static partial class AnonymousMemory
{
    private const int ReadAndWrite = 3;
    private const int PrivateAnonymous = 0x22;

    public static nint Map(nuint bytes)
    {
        var address = MapMemory(0, bytes, ReadAndWrite, PrivateAnonymous, -1, 0);
        return address != -1
            ? address
            : throw new InsufficientMemoryException($"The system gives no {bytes} bytes: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
    }

    public static void Unmap(nint address, nuint bytes) => _ = UnmapMemory(address, bytes);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MapMemory(nint address, nuint bytes, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int UnmapMemory(nint address, nuint bytes);
}
