using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// What the next plan must know of earlier ones: runs that are on their way, those that have come while the map may not have heard yet, and nodes that could not
/// take one. A snapshot of one step.
/// </summary>
internal sealed class OpenOrders
{
    /// <summary>Runs by the end of their prefix: what is left of one that a node hands over ends where it ended, and begins later.</summary>
    private readonly Dictionary<(string Tenant, KeyDigest Tail), List<(Holding Run, int PrefixBlocks)>> _coming = [];
    private readonly Dictionary<(string Tenant, KeyDigest Tail), List<NodeId>> _barred = [];
    private readonly Dictionary<(string Tenant, string Tail), List<NodeId>> _cancelledBefore = [];
    private readonly Dictionary<NodeId, long> _bytes = [];

    /// <param name="memory">How long what ended is remembered: longer than the map needs to hear of a block.</param>
    public static OpenOrders Of(OrderBook book, DateTimeOffset now, TimeSpan memory)
    {
        var orders = new OpenOrders();
        foreach (var entry in book.List())
        {
            var order = entry.Order;
            var key = (order.Prefix.Tenant, order.Prefix.Tail);
            if (entry.EndedAt is not { } endedAt)
            {
                Add(orders._coming, key, (new Holding(order.Target, order.FirstBlock, order.Blocks), order.Prefix.Blocks));
                orders._bytes[order.Target] = orders._bytes.GetValueOrDefault(order.Target) + Math.Max(0, order.Bytes - entry.MovedBytes);
            }
            else if (now - endedAt < memory && entry.State == OrderState.Done)
            {
                Add(orders._coming, key, (new Holding(order.Target, order.FirstBlock, order.Blocks), order.Prefix.Blocks));
            }
            else if (now - endedAt < (entry.State == OrderState.Cancelled ? OrderBook.CancelMemory : memory) && entry.State != OrderState.Done)
            {
                Add(orders._barred, key, order.Target);
            }
        }

        foreach (var order in book.Inherited)
        {
            // A follower holds to what operators decided under the scheduler before it.
            if (order is { State: "cancelled", EndedAt: { } at } && now - at < OrderBook.CancelMemory && NodeId.TryParse(order.Target, out var target, out _))
            {
                Add(orders._cancelledBefore, (order.Tenant, order.Prefix), target);
            }
        }

        return orders;
    }

    public long BytesOf(NodeId node) => _bytes.GetValueOrDefault(node);

    public ImmutableArray<Holding> ComingFor(ChainPrefix prefix)
    {
        if (!_coming.TryGetValue((prefix.Tenant, prefix.Tail), out var runs))
        {
            return [];
        }

        var coming = ImmutableArray.CreateBuilder<Holding>(runs.Count);
        foreach (var (run, prefixBlocks) in runs)
        {
            var shift = prefix.Blocks - prefixBlocks;
            var (first, end) = (Math.Max(0, run.FirstBlock + shift), Math.Min(prefix.Blocks, run.FirstBlock + run.Blocks + shift));
            if (end > first)
            {
                coming.Add(new Holding(run.Node, first, end - first));
            }
        }

        return coming.ToImmutable();
    }

    public ImmutableArray<NodeId> BarredFor(ChainPrefix prefix)
    {
        var barred = _barred.GetValueOrDefault((prefix.Tenant, prefix.Tail)) ?? [];
        var before = _cancelledBefore.Count == 0 ? null : _cancelledBefore.GetValueOrDefault((prefix.Tenant, DeskViews.NameOf(prefix.Tail)));
        return before is null ? [.. barred.Distinct()] : [.. barred.Concat(before).Distinct()];
    }

    private static void Add<TKey, T>(Dictionary<TKey, List<T>> all, TKey key, T value)
        where TKey : notnull
    {
        if (!all.TryGetValue(key, out var values))
        {
            all.Add(key, values = []);
        }

        values.Add(value);
    }
}
