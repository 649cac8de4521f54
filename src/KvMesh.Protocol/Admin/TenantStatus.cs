namespace KvMesh.Protocol.Admin;

/// <summary>One tenant's part of the node.</summary>
/// <param name="HostShareBytes">Bytes of RAM that others cannot evict this tenant from.</param>
/// <param name="Holes">Chains known to miss a block in the middle.</param>
/// <param name="YieldedLeases">Existence leases that ended early because a budget was spent.</param>
public sealed record TenantStatus(
    string Name, string IsolationGroup, long HostBytes, long HostShareBytes, long Blocks, long Hits, long Misses, long Holes,
    long LeasedBytes, long YieldedLeases);
