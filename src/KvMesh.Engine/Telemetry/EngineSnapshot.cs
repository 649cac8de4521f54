using KvMesh.Engine.Coding;
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

    /// <summary>Blocks that pins keep here, and the bytes that they take.</summary>
    public long HeldBlocks { get; init; }

    public long HeldBytes { get; init; }

    /// <summary>The memory of connected workers.</summary>
    public HeldSnapshot Held { get; init; }

    /// <summary>Blocks that left the disk, and so the node, though a lease or a pin had promised that they stay.</summary>
    public long BrokenPromises { get; init; }

    /// <summary>Blocks that were encoded for the disk, and decoded from it.</summary>
    public CodingSnapshot Coding { get; init; } = CodingSnapshot.Empty;

    /// <summary>Blocks that were encoded in RAM, and decoded there.</summary>
    public CodingSnapshot HostCoding { get; init; } = CodingSnapshot.Empty;

    /// <summary>Blocks that lie encoded in RAM, and the bytes of their extents.</summary>
    public long EncodedBlocks { get; init; }

    /// <inheritdoc cref="EncodedBlocks"/>
    public long EncodedBytes { get; init; }

    /// <summary>Of these, blocks that lie there as they are too: that room is given to whoever needs it first.</summary>
    public long ShadowBlocks { get; init; }

    /// <summary>Times that such room was given.</summary>
    public long ShadowsDropped { get; init; }
}

/// <summary>Occupancy of one tier ("host", "disk") and what was found in it.</summary>
public sealed record TierSnapshot(
    string Name, long CapacityBytes, long UsedBytes, long Blocks, long Hits, long Evictions, long EvictedBytes,
    long StoredBytes, long DroppedBlocks);

/// <summary>State of one arena's allocator. Fragmentation is 1 - largest hole / free bytes.</summary>
public sealed record ArenaSnapshot(
    string IsolationGroup, string Path, long CapacityBytes, long AllocatedBytes, long LargestHoleBytes, double Fragmentation, long WarmBytes)
{
    /// <summary>Bytes of the arena's file that the kernel keeps in huge pages, as far as this process made them.</summary>
    public long HugePageBytes { get; init; }

    /// <summary>Bytes that the system has no memory for now: neither free nor in use.</summary>
    public long WithheldBytes { get; init; }
}

/// <summary>One tenant's share of the node.</summary>
public sealed record TenantSnapshot(
    string Name, string IsolationGroup, long HostBytes, long HostShareBytes, long Blocks, long Hits, long Misses, long Holes,
    long LeasedBytes, long YieldedLeases)
{
    /// <summary>Bytes of RAM that readers in place hold.</summary>
    public long ReadInPlaceBytes { get; init; }

    /// <summary>Leases to read in place that a budget refused.</summary>
    public long RefusedLeases { get; init; }
}

/// <summary>What clients asked for and got, in blocks and payload bytes.</summary>
public sealed record TrafficSnapshot(
    long Reads, long ReadHits, long ReadBytes, long Writes, long WrittenBytes, long DuplicateWrites, long RefusedWrites,
    long MatchRequests, long MatchedBlocks, long AskedBlocks);

/// <summary>Checks of stored bytes. A mismatch quarantines the block.</summary>
public sealed record IntegritySnapshot(
    long VerifiedBlocks, long VerifiedBytes, long Mismatches, long QuarantinedBlocks, long ScrubbedBlocks, long ScrubbedBytes, long ScrubPasses);
