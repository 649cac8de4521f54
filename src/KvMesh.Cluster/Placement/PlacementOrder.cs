using System.Collections.Immutable;
using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Placement;

/// <summary>Why blocks move. In the order in which plans spend their budget; stored and sent: append only.</summary>
public enum OrderKind : byte
{
    /// <summary>A pin has fewer copies than it was promised.</summary>
    RestorePin = 1,

    /// <summary>Their node leaves.</summary>
    Drain = 2,

    /// <summary>A session is about to return there.</summary>
    Prefetch = 3,

    /// <summary>Requests for it enter there.</summary>
    Replicate = 4,

    /// <summary>Requests for it enter there, and no longer where it is.</summary>
    Migrate = 5,

    /// <summary>One node alone would take too long to hand it out.</summary>
    Spread = 6,
}

/// <summary>A run of blocks that a node is to pull from others.</summary>
public sealed record PlacementOrder
{
    public required OrderKind Kind { get; init; }

    public required ChainPrefix Prefix { get; init; }

    /// <summary>First block of the run, counted from the beginning of the prefix.</summary>
    public required int FirstBlock { get; init; }

    public required int Blocks { get; init; }

    public required NodeId Target { get; init; }

    /// <summary>Nodes that hold the whole run, the one to ask first at the front.</summary>
    public required ImmutableArray<NodeId> Sources { get; init; }

    /// <summary>Seconds that the move keeps its slower end busy.</summary>
    public required double CostSeconds { get; init; }

    /// <summary>Seconds of waiting that it is expected to save within the horizon.</summary>
    public required double BenefitSeconds { get; init; }

    /// <summary>A sentence for operators.</summary>
    public required string Reason { get; init; }

    public long Bytes => Prefix.BytesOf(Blocks);

    /// <summary>Two orders of one name would do the same: the later one is not given while the earlier one is open.</summary>
    public string Name => $"{Kind}:{Prefix.Tenant}:{Prefix.Tail.High:x16}{Prefix.Tail.Low:x16}:{FirstBlock}+{Blocks}>{Target}";
}

/// <summary>What is to be done now, most urgent first, and what was left for later and why.</summary>
public sealed record PlacementPlan(ImmutableArray<PlacementOrder> Orders, ImmutableArray<DeferredOrder> Deferred)
{
    public long Bytes => Orders.Sum(order => order.Bytes);
}

/// <param name="Order">What would have been done.</param>
/// <param name="Why">What it lacked.</param>
public sealed record DeferredOrder(PlacementOrder Order, string Why);
