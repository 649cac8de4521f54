using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>
/// What a node does for the node that plans. Orders carry the fencing token of their scheduler; those of a deposed one are not followed. Any thread; a
/// call reads memory only, but for <see cref="Hold"/>, which reads blocks.
/// </summary>
public interface IPlacementNode
{
    NodeReport Report(NodeReportRequest request);

    /// <summary>Takes an order; the same one again changes nothing.</summary>
    OrderAnswer Give(OrderGiveRequest request);

    OrderAnswer Cancel(OrderCancelRequest request);

    IReadOnlyList<OrderProgress> Progress(OrderProgressRequest request);

    ChainAnswer Chain(ChainRequest request);

    HoldAnswer Hold(HoldRequest request);

    DrainAnswer Drain(DrainRequest request);

    LeavingRun Leaving(LeavingRequest request);
}
