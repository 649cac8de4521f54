namespace KvMesh.Gateway.Resp;

/// <summary>
/// Pinned buffers for connections that are being served. A parked connection holds none, so ten thousand of them cost little.
/// At most <see cref="MaxIdle"/> wait for the next connection; the rest goes to the collector.
/// </summary>
internal sealed class RespBufferPool
{
    /// <summary>Holds some hundred commands of a deep pipeline, and fits the second-level cache with its twin.</summary>
    public const int BufferBytes = 64 * 1024;

    private const int MaxIdle = 128;

    private readonly Lock _lock = new();
    private readonly Stack<byte[]> _idle = new();

    public byte[] Rent()
    {
        lock (_lock)
        {
            if (_idle.TryPop(out var buffer))
            {
                return buffer;
            }
        }

        return GC.AllocateUninitializedArray<byte>(BufferBytes, pinned: true);
    }

    public void Return(byte[] buffer)
    {
        lock (_lock)
        {
            if (_idle.Count < MaxIdle)
            {
                _idle.Push(buffer);
            }
        }
    }
}
