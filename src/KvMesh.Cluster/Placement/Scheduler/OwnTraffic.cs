using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// What the scheduler's own orders have nodes hand out, as their targets tell it: nodes report all that they hand out, and one that is busy with orders would
/// seem to need relief from readers. Bytes of an order are taken to come from all its sources alike, as pulls over several holders do. Any thread notes; one looks.
/// </summary>
internal sealed class OwnTraffic(TimeProvider time)
{
    private readonly Lock _lock = new();
    private Dictionary<NodeId, double> _bytes = [];
    private Dictionary<NodeId, double> _rates = [];
    private long _since = time.GetTimestamp();

    public void Note(PlacementOrder order, long bytes)
    {
        if (bytes <= 0 || order.Sources.IsDefaultOrEmpty)
        {
            return;
        }

        lock (_lock)
        {
            foreach (var source in order.Sources)
            {
                _bytes[source] = _bytes.GetValueOrDefault(source) + ((double)bytes / order.Sources.Length);
            }
        }
    }

    /// <summary>Takes what came since the last look as the rate from now on.</summary>
    public void Look()
    {
        lock (_lock)
        {
            var seconds = time.GetElapsedTime(_since).TotalSeconds;
            if (seconds <= 0)
            {
                return;
            }

            _rates = _bytes.ToDictionary(pair => pair.Key, pair => pair.Value / seconds);
            (_bytes, _since) = ([], time.GetTimestamp());
        }
    }

    public double BytesPerSecondOf(NodeId node)
    {
        lock (_lock)
        {
            return _rates.GetValueOrDefault(node);
        }
    }
}
