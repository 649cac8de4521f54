namespace KvMesh.Worker.Devices.Cuda;

/// <summary>Host memory that a device knows. Any thread.</summary>
internal sealed class HostRegions
{
    private readonly Lock _lock = new();
    private readonly SortedList<nint, IKnownMemory> _regions = [];

    /// <exception cref="ArgumentException">A region begins there already.</exception>
    public void Add(IKnownMemory region)
    {
        lock (_lock)
        {
            _regions.Add(region.Start, region);
        }
    }

    public void Remove(nint start)
    {
        lock (_lock)
        {
            _regions.Remove(start);
        }
    }

    /// <summary>The region in which all these bytes are; null: there is none.</summary>
    public IKnownMemory? Find(nint start, long bytes)
    {
        lock (_lock)
        {
            var (low, high) = (0, _regions.Count);
            while (low < high)
            {
                var middle = (low + high) / 2;
                (low, high) = _regions.GetKeyAtIndex(middle) <= start ? (middle + 1, high) : (low, middle);
            }

            return low > 0 && _regions.GetValueAtIndex(low - 1) is var found && start - found.Start <= found.Bytes - bytes ? found : null;
        }
    }
}

/// <summary>Host memory that the device may read by itself.</summary>
internal interface IKnownMemory
{
    nint Start { get; }

    long Bytes { get; }

    /// <summary>How many bytes from there on can be copied at once without a detour; 0: none.</summary>
    long DirectBytes(nint start, long bytes);
}

/// <summary>Memory that the driver allocated.</summary>
internal sealed record PinnedRegion(nint Start, long Bytes) : IKnownMemory
{
    public long DirectBytes(nint start, long bytes) => bytes;
}
