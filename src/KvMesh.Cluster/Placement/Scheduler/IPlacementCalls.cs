using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>Asks other nodes on behalf of the scheduler. Any thread. A call ends within its limit, whatever the node does.</summary>
/// <remarks>Every member throws <see cref="NodeSilentException"/> when the node does not answer in time, refuses, or makes no sense.</remarks>
public interface IPlacementCalls
{
    ValueTask<NodeReport> ReportAsync(NodeRecord node, NodeReportRequest request, TimeSpan limit, CancellationToken cancellationToken);

    ValueTask<OrderAnswer> GiveAsync(NodeRecord node, OrderGiveRequest request, TimeSpan limit, CancellationToken cancellationToken);

    ValueTask<OrderAnswer> CancelAsync(NodeRecord node, OrderCancelRequest request, TimeSpan limit, CancellationToken cancellationToken);

    ValueTask<IReadOnlyList<OrderProgress>> ProgressAsync(NodeRecord node, OrderProgressRequest request, TimeSpan limit, CancellationToken cancellationToken);

    ValueTask<ChainAnswer> ChainAsync(NodeRecord node, ChainRequest request, TimeSpan limit, CancellationToken cancellationToken);

    ValueTask<HoldAnswer> HoldAsync(NodeRecord node, HoldRequest request, TimeSpan limit, CancellationToken cancellationToken);

    ValueTask<DrainAnswer> DrainAsync(NodeRecord node, DrainRequest request, TimeSpan limit, CancellationToken cancellationToken);

    ValueTask<LeavingRun> LeavingAsync(NodeRecord node, LeavingRequest request, TimeSpan limit, CancellationToken cancellationToken);

    /// <summary>Passes an operator's wish on. Null: there is no such order or node.</summary>
    ValueTask<ReadOnlyMemory<byte>?> DeskAsync(NodeRecord node, DeskRequest request, TimeSpan limit, CancellationToken cancellationToken);
}

/// <summary>A node did not answer as it should. The message is a sentence that says how.</summary>
public sealed class NodeSilentException : Exception
{
    public NodeSilentException()
    {
    }

    public NodeSilentException(string message)
        : base(message)
    {
    }

    public NodeSilentException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
