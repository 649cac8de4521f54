namespace KvMesh.Worker.Devices.Cuda;

/// <summary>
/// Pinned memory through which a stream copies what the device cannot read: the processor fills one part while the device reads the others. Used by the thread
/// that queues on the stream.
/// </summary>
internal sealed unsafe class BounceRing : IDisposable
{
    /// <summary>Bytes of a part: so many that starting its copy does not count.</summary>
    private const int PartBytes = 4 << 20;

    private const int PartCount = 3;

    private readonly HostBuffer[] _parts = new HostBuffer[PartCount];
    private readonly IDeviceEvent?[] _read = new IDeviceEvent?[PartCount];
    private readonly CudaStream _stream;
    private int _next;

    public BounceRing(CudaStream stream)
    {
        _stream = stream;
        for (var part = 0; part < PartCount; part++)
        {
            _parts[part] = stream.Device.AllocateHost(PartBytes);
        }
    }

    /// <summary>The source is read when this returns.</summary>
    public void CopyToDevice(ulong target, nint source, long bytes)
    {
        while (bytes > 0)
        {
            var count = (int)Math.Min(bytes, PartBytes);
            _read[_next]?.Wait();
            _read[_next]?.Dispose();
            _read[_next] = null;
            new ReadOnlySpan<byte>((void*)source, count).CopyTo(_parts[_next].Span);
            _stream.CopyPinned(target, _parts[_next].Start, count);
            _read[_next] = _stream.Record();
            _next = (_next + 1) % PartCount;
            (target, source, bytes) = (target + (ulong)count, source + count, bytes - count);
        }
    }

    /// <summary>The stream is idle.</summary>
    public void Dispose()
    {
        foreach (var read in _read)
        {
            read?.Dispose();
        }

        foreach (var part in _parts)
        {
            part.Dispose();
        }
    }
}
