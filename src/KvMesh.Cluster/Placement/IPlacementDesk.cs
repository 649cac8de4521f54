using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cluster.Placement;

/// <summary>
/// Where operators see and change what placement does. Any node has one: what the node does not know itself it asks the node that plans,
/// so every answer is that node's. Any thread.
/// </summary>
/// <remarks>
/// Every member throws <see cref="PlacementUnavailableException"/> when no node plans at the moment or the one that does cannot be reached;
/// its message is a sentence for operators. Actors are names of credentials, or addresses where there was none.
/// </remarks>
public interface IPlacementDesk
{
    /// <summary>Orders that are open and that ended lately, and what the last plan left for later.</summary>
    ValueTask<OrderList> ListAsync(CancellationToken cancellationToken);

    /// <summary>What would be ordered now. Nothing is ordered, and it is possible while orders are paused.</summary>
    ValueTask<PlanPreview> PlanAsync(CancellationToken cancellationToken);

    /// <summary>Ends an open order. False: no order of this id is open.</summary>
    ValueTask<bool> CancelAsync(long id, string actor, CancellationToken cancellationToken);

    /// <summary>While paused, plans are made and shown but nothing is ordered; orders that were given go on.</summary>
    ValueTask SetPausedAsync(bool isPaused, string actor, CancellationToken cancellationToken);

    /// <summary>What operators did, the latest first.</summary>
    ValueTask<IReadOnlyList<AuditEntry>> AuditAsync(CancellationToken cancellationToken);

    /// <summary>Writes down that an operator declared a node gone, which is no matter of placement but stands in the same audit.</summary>
    ValueTask NoteForgottenAsync(NodeId node, string actor, CancellationToken cancellationToken);

    /// <summary>
    /// Takes a node out of placement and has its blocks brought to others. It goes on serving. Again: changes nothing. Null: it is no member.
    /// </summary>
    ValueTask<DrainStatus?> BeginDrainAsync(NodeId node, string actor, CancellationToken cancellationToken);

    /// <summary>Takes a drain back: the node takes blocks again. Null: it is no member.</summary>
    ValueTask<DrainStatus?> EndDrainAsync(NodeId node, string actor, CancellationToken cancellationToken);

    /// <summary>How far a node is. Null: it is no member.</summary>
    ValueTask<DrainStatus?> DrainProgressAsync(NodeId node, CancellationToken cancellationToken);
}

/// <summary>Nobody can answer about placement now; another try may succeed. The message says why, as a sentence.</summary>
public sealed class PlacementUnavailableException : Exception
{
    public PlacementUnavailableException()
    {
    }

    public PlacementUnavailableException(string message)
        : base(message)
    {
    }

    public PlacementUnavailableException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
