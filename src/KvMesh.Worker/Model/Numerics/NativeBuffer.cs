using System.Runtime.InteropServices;

namespace KvMesh.Worker.Model.Numerics;

/// <summary>
/// Numbers in memory outside of the heap, on a cache line, zero at first. The owner disposes it when nobody reads any more; pointers and spans into it
/// do not keep it alive.
/// </summary>
internal sealed unsafe class NativeBuffer<T> : IDisposable
    where T : unmanaged
{
    private const int Alignment = 64;

    private T* _start;

    public NativeBuffer(long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        Count = count;
        var bytes = checked((nuint)Math.Max(count, 1) * (nuint)sizeof(T));
        _start = (T*)NativeMemory.AlignedAlloc(bytes, Alignment);
        NativeMemory.Clear(_start, bytes);
    }

    ~NativeBuffer() => Free();

    public long Count { get; }

    public T* Start => _start;

    public Span<T> Span => new(_start, checked((int)Count));

    public Span<T> Slice(long first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Count - first);
        return new Span<T>(_start + first, count);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_start);
        _start = null;
    }
}
