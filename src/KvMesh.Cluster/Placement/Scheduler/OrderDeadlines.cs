using System.Globalization;
using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Until when orders may take, and which nodes have to hear that one of theirs counts for nothing any more. An order is due after what all that is open at its
/// target should take, many times over, and never before a least time; while its target brings anything at all, it waits. One caller at a time follows and opens;
/// any thread notes progress.
/// </summary>
internal sealed class OrderDeadlines(TimeSpan least, TimeProvider time)
{
    /// <summary>Orders go behind what clients wait for, and fill a quarter of a link: they may take this many times what the link alone would need.</summary>
    private const double Patience = 8;

    private readonly Lock _lock = new();
    private readonly Dictionary<long, (long OpenedAt, TimeSpan Allowed)> _orders = [];
    private readonly Dictionary<NodeId, long> _progressAt = [];
    private readonly Dictionary<(NodeId Node, long Incarnation), HashSet<long>> _unheard = [];

    /// <param name="opened">Orders that are about to be given.</param>
    /// <param name="open">All that are open, those among them.</param>
    public void NoteOpened(IReadOnlyList<OrderEntry> opened, IReadOnlyList<OrderEntry> open)
    {
        var costs = open.GroupBy(entry => entry.Order.Target).ToDictionary(orders => orders.Key, orders => orders.Sum(entry => entry.Order.CostSeconds));
        lock (_lock)
        {
            foreach (var entry in opened)
            {
                var seconds = Math.Min(Patience * costs.GetValueOrDefault(entry.Order.Target), TimeSpan.FromHours(6).TotalSeconds);
                _orders[entry.Id] = (time.GetTimestamp(), least + TimeSpan.FromSeconds(seconds));
            }
        }
    }

    /// <summary>A node has got on with its orders.</summary>
    public void NoteProgress(NodeId target)
    {
        lock (_lock)
        {
            _progressAt[target] = time.GetTimestamp();
        }
    }

    /// <summary>Why an open order counts as lost; null: it does not.</summary>
    public string? WhyLost(OrderEntry entry)
    {
        lock (_lock)
        {
            if (!_orders.TryGetValue(entry.Id, out var order) || time.GetElapsedTime(order.OpenedAt) < order.Allowed)
            {
                return null;
            }

            var since = Math.Max(order.OpenedAt, _progressAt.GetValueOrDefault(entry.Order.Target, long.MinValue));
            return time.GetElapsedTime(since) < least ? null : string.Create(
                CultureInfo.InvariantCulture,
                $"{entry.Order.Target} brought nothing for {time.GetElapsedTime(since).TotalSeconds:0.#} s, and it was due after {order.Allowed.TotalSeconds:0.#} s: it counts as lost.");
        }
    }

    /// <summary>The node has to hear that this order is over, when it answers again.</summary>
    public void NoteUnheard(NodeRecord node, long id)
    {
        lock (_lock)
        {
            if (!_unheard.TryGetValue((node.Id, node.Incarnation), out var ids))
            {
                _unheard.Add((node.Id, node.Incarnation), ids = []);
            }

            ids.Add(id);
        }
    }

    public void NoteHeard(NodeRecord node, long id)
    {
        lock (_lock)
        {
            if (_unheard.TryGetValue((node.Id, node.Incarnation), out var ids) && ids.Remove(id) && ids.Count == 0)
            {
                _unheard.Remove((node.Id, node.Incarnation));
            }
        }
    }

    /// <summary>Nodes of the view that have to hear of orders. Forgets runs that are gone, and orders that are not open.</summary>
    public IReadOnlyList<(NodeRecord Node, long[] Ids)> Unheard(ClusterView view, IReadOnlyList<OrderEntry> open)
    {
        lock (_lock)
        {
            var ids = open.Select(entry => entry.Id).ToHashSet();
            foreach (var id in _orders.Keys.Where(id => !ids.Contains(id)).ToList())
            {
                _orders.Remove(id);
            }

            foreach (var node in _progressAt.Keys.Where(node => view.Find(node) is null).ToList())
            {
                _progressAt.Remove(node);
            }

            foreach (var key in _unheard.Keys.Where(key => view.Find(key.Node)?.Incarnation != key.Incarnation).ToList())
            {
                _unheard.Remove(key);
            }

            return [.. _unheard.Select(pair => (view.Find(pair.Key.Node)!, pair.Value.ToArray()))];
        }
    }
}
