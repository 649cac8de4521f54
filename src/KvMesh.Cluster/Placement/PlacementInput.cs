using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Placement;

/// <summary>All that a plan depends on. Equal inputs give equal plans, on every node.</summary>
public sealed record PlacementInput
{
    public required DateTimeOffset Now { get; init; }

    public required ClusterView View { get; init; }

    /// <summary>What is known of the nodes of the view. A node without an entry takes no orders.</summary>
    public required ImmutableArray<NodeLoad> Loads { get; init; }

    /// <summary>Prefixes worth a thought: those in demand, those of sessions, those of a node that drains.</summary>
    public required ImmutableArray<PrefixState> Prefixes { get; init; }

    public ImmutableArray<SessionState> Sessions { get; init; } = [];

    public required PlacementOptions Options { get; init; }
}

/// <summary>What a node can take and give.</summary>
/// <param name="CapacityBytes">Size of its RAM tier.</param>
/// <param name="FreeBytes">Bytes of it that nothing uses.</param>
/// <param name="InBytesPerSecond">What it was seen to pull, when it pulled at full speed.</param>
/// <param name="OutBytesPerSecond">What was seen to be pulled from it.</param>
/// <param name="Utilisation">Share of its outward bandwidth that foreground reads take now, 0 to 1.</param>
public sealed record NodeLoad(
    NodeId Node, long CapacityBytes, long FreeBytes, double InBytesPerSecond, double OutBytesPerSecond, double Utilisation)
{
    /// <summary>Bytes of earlier orders that it has not carried out yet.</summary>
    public long OpenBytes { get; init; }
}

/// <summary>A prefix, who holds how much of it, and who asks for it.</summary>
/// <param name="Holdings">Runs of it that nodes hold; a node may hold several, which do not overlap.</param>
/// <param name="Demand">Nodes at which it is asked for.</param>
public sealed record PrefixState(ChainPrefix Prefix, ImmutableArray<Holding> Holdings, ImmutableArray<NodeDemand> Demand)
{
    /// <summary>Runs that earlier orders bring to nodes: they will hold them, and cannot give them yet.</summary>
    public ImmutableArray<Holding> Coming { get; init; } = [];

    /// <summary>Nodes that could not take it a moment ago: they are not asked again at once.</summary>
    public ImmutableArray<NodeId> Barred { get; init; } = [];

    /// <summary>Requests for it per second, in the whole cluster.</summary>
    public double Rate => Demand.Sum(demand => demand.RequestsPerSecond);

    public double RateAt(NodeId node) => Demand.FirstOrDefault(demand => demand.Node == node).RequestsPerSecond;
}

/// <summary>A run of blocks on a node.</summary>
/// <param name="FirstBlock">Its first block, counted from the beginning of the prefix.</param>
public readonly record struct Holding(NodeId Node, int FirstBlock, int Blocks);

/// <param name="RequestsPerSecond">Decayed rate of requests for the prefix that entered at the node.</param>
public readonly record struct NodeDemand(NodeId Node, double RequestsPerSecond);

/// <summary>A sequence that asks something of placement.</summary>
/// <param name="Tail">Its prefix: the tail of one of <see cref="PlacementInput.Prefixes"/>.</param>
/// <param name="Replicas">Copies its pin asks for; 0 without a pin.</param>
/// <param name="ReturnsAt">When its next request is expected; null when nobody knows.</param>
/// <param name="ReturnsTo">Where that request will enter; null: anywhere.</param>
public sealed record SessionState(
    string Tenant, string Sequence, KeyDigest Tail, int Replicas, DateTimeOffset? ReturnsAt, NodeId? ReturnsTo)
{
    /// <summary>Nodes that hold all of the prefix and have no room to keep it: they are no copies of a pin.</summary>
    public ImmutableArray<NodeId> Unkept { get; init; } = [];

    /// <summary>Nobody named the time; it is as long after it was parked as it rested before.</summary>
    public bool IsReturnGuessed { get; init; }
}
