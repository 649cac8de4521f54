namespace KvMesh.Protocol.Admin;

/// <summary>Occupancy of one tier and what was found in it.</summary>
/// <param name="Name">"host" or "disk".</param>
/// <param name="Hits">Blocks served from this tier.</param>
/// <param name="Evictions">Blocks that left this tier to make room.</param>
/// <param name="StoredBytes">Payload bytes ever written into this tier.</param>
/// <param name="DroppedBlocks">Blocks that were to go here and were dropped, because the tier could not keep up or was full.</param>
public sealed record TierStatus(
    string Name, long CapacityBytes, long UsedBytes, long Blocks, long Hits, long Evictions, long EvictedBytes, long StoredBytes,
    long DroppedBlocks);

/// <summary>The allocator of one arena.</summary>
/// <param name="Fragmentation">1 - largest hole / free bytes; 0 when nothing is free.</param>
/// <param name="WarmBytes">Bytes whose pages have been touched.</param>
public sealed record ArenaStatus(
    string IsolationGroup, string Path, long CapacityBytes, long AllocatedBytes, long LargestHoleBytes, double Fragmentation,
    long WarmBytes)
{
    /// <summary>Bytes in huge pages; 0 on a kernel that makes none of shared memory.</summary>
    public long HugePageBytes { get; init; }
}
