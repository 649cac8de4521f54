namespace KvMesh.Worker.Model.Numerics;

/// <summary>Memory that grows to the largest use and is kept for the next. Contents are not kept when it grows. One thread.</summary>
internal sealed unsafe class ScratchBuffer : IDisposable
{
    private NativeBuffer<float> _buffer = new(0);

    /// <summary>At least so many numbers, of any value.</summary>
    public float* Rent(long count)
    {
        if (count > _buffer.Count)
        {
            _buffer.Dispose();
            _buffer = new NativeBuffer<float>(count + (count / 4));
        }

        return _buffer.Start;
    }

    public void Dispose() => _buffer.Dispose();
}
