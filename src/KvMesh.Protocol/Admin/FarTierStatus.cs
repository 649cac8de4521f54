namespace KvMesh.Protocol.Admin;

/// <summary>A tier beyond the node, and what it gave and took since the node's process started.</summary>
/// <param name="Name">"gpu" for the memory of connected workers, "peers" for the other nodes, or "redis".</param>
/// <param name="State">"up"; "partly": some of the nodes are not asked now, because they failed; "read-only": it takes no blocks now;
/// "down": it is not asked now.</param>
/// <param name="Hits">Blocks that came from it, checked and whole.</param>
/// <param name="Misses">Blocks that it was asked for and did not hold.</param>
/// <param name="FalseHits">Of the misses: blocks that it was believed to hold.</param>
/// <param name="Failures">Blocks that did not come in time or whole.</param>
/// <param name="HitBytes">Payload bytes of the hits.</param>
/// <param name="Mismatches">Chunks whose bytes were not what was promised. None was used.</param>
/// <param name="Background">Of the hits: blocks that an order brought.</param>
/// <param name="GivenBlocks">Blocks that went the other way: other nodes read them here, or Redis keeps them for this node.</param>
/// <param name="GivenBytes">Their payload bytes.</param>
public sealed record FarTierStatus(
    string Name, string State, long Hits, long Misses, long FalseHits, long Failures, long HitBytes, long Mismatches, long Background,
    long GivenBlocks, long GivenBytes)
{
    /// <summary>Blocks that are known to be there now, each counted once for each worker; null: the node does not know.</summary>
    public long? KnownBlocks { get; init; }

    /// <summary>Payload bytes of these.</summary>
    public long? KnownBytes { get; init; }
}

/// <summary>A tier beyond the node in one second. Rates are per second.</summary>
/// <param name="HitRatio">Share of the reads of this second that it served.</param>
/// <param name="BytesIn">Payload bytes that came from it.</param>
/// <param name="BytesOut">Payload bytes that went to it.</param>
public sealed record FarTierSample(string Name, double? HitRatio, double Hits, double Failures, double BytesIn, double BytesOut);
