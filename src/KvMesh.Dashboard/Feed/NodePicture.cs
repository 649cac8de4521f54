using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>What the board shows: one node.</summary>
public sealed record NodePicture : Picture
{
    public NodeStatus? Status { get; init; }

    /// <summary>Seconds of the node, oldest first.</summary>
    public IReadOnlyList<HistorySample> History { get; init; } = [];

    public Part<IReadOnlyList<TenantStatus>> Tenants { get; init; } = Part.Unknown<IReadOnlyList<TenantStatus>>();

    public Part<IReadOnlyList<ConnectionStatus>> Connections { get; init; } = Part.Unknown<IReadOnlyList<ConnectionStatus>>();

    public Part<PrefixList> Prefixes { get; init; } = Part.Unknown<PrefixList>();
}
