using KvMesh.Engine.FarTiers;

namespace KvMesh.Engine.Telemetry;

/// <summary>The engine's figures at one moment. Counters grow from the start of the process.</summary>
public sealed record EngineSnapshot(
    long Incarnation,
    DateTimeOffset StartedAt,
    IReadOnlyList<TierSnapshot> Tiers,
    IReadOnlyList<ArenaSnapshot> Arenas,
    IReadOnlyList<TenantSnapshot> Tenants,
    TrafficSnapshot Traffic,
    IntegritySnapshot Integrity)
{
    /// <summary>Tiers beyond this node, in the order in which they are asked.</summary>
    public IReadOnlyList<FarTierSnapshot> FarTiers { get; init; } = [];

    /// <summary>Reads of other nodes that were answered with a block, and its payload bytes. They are no reads of the traffic.</summary>
    public long PeerReads { get; init; }

    public long PeerReadBytes { get; init; }
}

/// <summary>Occupancy of one tier ("host", "disk") and what was found in it.</summary>
public sealed record TierSnapshot(
    string Name, long CapacityBytes, long UsedBytes, long Blocks, long Hits, long Evictions, long EvictedBytes,
    long StoredBytes, long DroppedBlocks);

/// <summary>State of one arena's allocator. Fragmentation is 1 - largest hole / free bytes.</summary>
public sealed record ArenaSnapshot(
    string IsolationGroup, string Path, long CapacityBytes, long AllocatedBytes, long LargestHoleBytes, double Fragmentation, long WarmBytes);

/// <summary>One tenant's share of the node.</summary>
public sealed record TenantSnapshot(
    string Name, string IsolationGroup, long HostBytes, long HostShareBytes, long Blocks, long Hits, long Misses, long Holes,
    long LeasedBytes, long YieldedLeases);

/// <summary>What clients asked for and got, in blocks and payload bytes.</summary>
public sealed record TrafficSnapshot(
    long Reads, long ReadHits, long ReadBytes, long Writes, long WrittenBytes, long DuplicateWrites, long RefusedWrites,
    long MatchRequests, long MatchedBlocks, long AskedBlocks);

/// <summary>Checks of stored bytes. A mismatch quarantines the block.</summary>
public sealed record IntegritySnapshot(
    long VerifiedBlocks, long VerifiedBytes, long Mismatches, long QuarantinedBlocks, long ScrubbedBlocks, long ScrubbedBytes, long ScrubPasses);
