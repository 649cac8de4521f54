using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>What the page of the cluster shows.</summary>
public sealed record ClusterPicture : Picture
{
    public ClusterStatus? Status { get; init; }

    public Part<OrderList> Orders { get; init; } = Part.Unknown<OrderList>();

    /// <summary>What operators did, the latest first.</summary>
    public Part<IReadOnlyList<AuditEntry>> Audit { get; init; } = Part.Unknown<IReadOnlyList<AuditEntry>>();

    /// <summary>How far draining nodes are, by their ids.</summary>
    public IReadOnlyDictionary<string, DrainStatus> Drains { get; init; } = new Dictionary<string, DrainStatus>();

    public FlowPicture Flows { get; init; } = FlowPicture.Empty;
}

/// <summary>Blocks that move between nodes.</summary>
/// <param name="Flows">The fastest first.</param>
/// <param name="Unknown">Members whose flows are not known, and why.</param>
public sealed record FlowPicture(IReadOnlyList<FlowRate> Flows, IReadOnlyList<UnknownFlows> Unknown)
{
    public static FlowPicture Empty { get; } = new([], []);
}

/// <summary>One way between two nodes, or a node and Redis.</summary>
/// <param name="BytesPerSecond">Null: seen only once so far.</param>
public sealed record FlowRate(FlowStatus Flow, double? BytesPerSecond);

public sealed record UnknownFlows(string Node, string Why);
