using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>Follows a cluster through one of its nodes: members and orders every two seconds, flows and what operators did less often.</summary>
internal sealed class ClusterFeed(FeedSource source) : PollingFeed<ClusterPicture>(source, new ClusterPicture(), TimeSpan.FromSeconds(2))
{
    private const int OrderCount = 50;
    private const int AuditCount = 10;
    private const int FlowsEveryTurns = 2;
    private const int AuditEveryTurns = 3;

    /// <summary>Draining nodes that are asked how far they are.</summary>
    private const int MaxDrains = 8;

    private readonly FlowCollector _flows = new();
    private int _turn;

    protected override async Task<ClusterPicture> LookAsync(AdminClient admin, CancellationToken cancellationToken)
    {
        var turn = _turn++;
        var status = await admin.GetNodesAsync(cancellationToken).ConfigureAwait(false);
        var picture = Current with
        {
            Status = status,
            Orders = await Part.OfAsync(admin.GetOrdersAsync(OrderCount, cancellationToken)).ConfigureAwait(false),
            Drains = await DrainsAsync(admin, status, cancellationToken).ConfigureAwait(false),
        };
        if (turn % FlowsEveryTurns == 0)
        {
            picture = picture with { Flows = await _flows.CollectAsync(admin, status, cancellationToken).ConfigureAwait(false) };
        }

        if (turn % AuditEveryTurns == 0)
        {
            picture = picture with { Audit = await Part.OfAsync(admin.GetAuditAsync(AuditCount, cancellationToken)).ConfigureAwait(false) };
        }

        return picture;
    }

    private static async Task<IReadOnlyDictionary<string, DrainStatus>> DrainsAsync(AdminClient admin, ClusterStatus status, CancellationToken cancellationToken)
    {
        var drains = new Dictionary<string, DrainStatus>();
        foreach (var node in status.Nodes.Where(node => node.State == "draining").Take(MaxDrains))
        {
            if ((await Part.OfAsync(admin.GetDrainAsync(node.Id, cancellationToken)).ConfigureAwait(false)).Value is { } drain)
            {
                drains[node.Id] = drain;
            }
        }

        return drains;
    }
}
