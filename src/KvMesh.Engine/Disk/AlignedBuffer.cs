using System.Runtime.InteropServices;
using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>
/// Native memory that begins on a granule, for direct I/O. The owner disposes it, once, when no span over it is in use; a buffer that
/// is dropped instead gives its memory back when it is finalized.
/// </summary>
internal sealed unsafe class AlignedBuffer : IDisposable
{
    private byte* _memory;

    public AlignedBuffer(int bytes)
    {
        Length = (int)Granules.RoundUp(bytes);
        _memory = (byte*)NativeMemory.AlignedAlloc((nuint)Length, Limits.GranuleBytes);
        NativeMemory.Clear(_memory, (nuint)Length);
    }

    ~AlignedBuffer() => Free();

    public int Length { get; }

    public Span<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(_memory is null, this);
            return new Span<byte>(_memory, Length);
        }
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}

/// <summary>A few single granules kept for headers, so that a read allocates nothing once warm. Any thread may rent and return.</summary>
internal sealed class GranulePool : IDisposable
{
    private readonly AlignedBuffer?[] _idle = new AlignedBuffer?[16];

    public AlignedBuffer Rent()
    {
        foreach (ref var slot in _idle.AsSpan())
        {
            if (Interlocked.Exchange(ref slot, null) is { } buffer)
            {
                return buffer;
            }
        }

        return new AlignedBuffer(Limits.GranuleBytes);
    }

    public void Return(AlignedBuffer buffer)
    {
        foreach (ref var slot in _idle.AsSpan())
        {
            if (Interlocked.CompareExchange(ref slot, buffer, null) is null)
            {
                return;
            }
        }

        buffer.Dispose();
    }

    public void Dispose()
    {
        foreach (ref var slot in _idle.AsSpan())
        {
            Interlocked.Exchange(ref slot, null)?.Dispose();
        }
    }
}
