namespace KvMesh.Worker.Devices;

/// <summary>Counts what streams copy. Any thread.</summary>
internal sealed class TrafficCounters
{
    private long _toDevice;
    private long _toHost;
    private long _within;
    private long _bounced;

    public DeviceTraffic Traffic => new(Volatile.Read(ref _toDevice), Volatile.Read(ref _toHost), Volatile.Read(ref _within), Volatile.Read(ref _bounced));

    public void AddToDevice(long bytes) => Interlocked.Add(ref _toDevice, bytes);

    public void AddToHost(long bytes) => Interlocked.Add(ref _toHost, bytes);

    public void AddWithin(long bytes) => Interlocked.Add(ref _within, bytes);

    public void AddBounced(long bytes) => Interlocked.Add(ref _bounced, bytes);
}
