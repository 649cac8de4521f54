using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>
/// Gathers what nodes pulled from each other and makes rates of it. Each node knows what it took; the followed one asks the others, so that a viewer's token
/// goes to no other node. Used by one feed.
/// </summary>
internal sealed class FlowCollector
{
    private readonly Dictionary<(string Kind, string Source, string Target), (long Bytes, DateTimeOffset At)> _before = [];

    public async Task<FlowPicture> CollectAsync(AdminClient own, ClusterStatus cluster, CancellationToken cancellationToken)
    {
        var all = await Part.OfAsync(own.GetClusterFlowsAsync(cancellationToken)).ConfigureAwait(false);
        if (all.Value is { } flows)
        {
            return new FlowPicture(Rate(flows.Nodes), [.. flows.Unknown.Select(untold => new UnknownFlows(untold.Node, untold.Why))]);
        }

        // A node of an earlier version tells its own, if any; that is no reason to show nothing else.
        var part = await Part.OfAsync(own.GetFlowsAsync(cancellationToken)).ConfigureAwait(false);
        var unknown = new List<UnknownFlows>();
        if (part.Value is null)
        {
            unknown.Add(new UnknownFlows("", "This node does not tell its flows."));
        }
        else if (cluster.Nodes.Count > 1)
        {
            unknown.Add(new UnknownFlows("", "Flows into the other nodes are on their own pages: this node does not ask them."));
        }

        return new FlowPicture(Rate(part.Value is { } list ? [list] : []), unknown);
    }

    private List<FlowRate> Rate(IReadOnlyList<FlowList> lists)
    {
        var rates = new List<FlowRate>();
        var seen = new HashSet<(string, string, string)>();
        foreach (var list in lists)
        {
            foreach (var flow in list.Flows)
            {
                var way = (flow.Kind, flow.Source, flow.Target);
                seen.Add(way);
                double? rate = _before.TryGetValue(way, out var before) && flow.Bytes >= before.Bytes && list.TakenAt > before.At
                    ? (flow.Bytes - before.Bytes) / (list.TakenAt - before.At).TotalSeconds
                    : null;
                _before[way] = (flow.Bytes, list.TakenAt);
                rates.Add(new FlowRate(flow, rate));
            }
        }

        foreach (var gone in _before.Keys.Where(way => !seen.Contains(way)).ToList())
        {
            _before.Remove(gone);
        }

        return [.. rates.OrderByDescending(rate => rate.BytesPerSecond ?? 0).ThenByDescending(rate => rate.Flow.Bytes).ThenBy(rate => rate.Flow.Source, StringComparer.Ordinal)];
    }
}
