namespace KvMesh.Protocol.Admin;

/// <summary>What <c>GET /api/v1/history</c> answers: the last ten minutes, oldest first.</summary>
public sealed record HistoryStatus(int IntervalSeconds, IReadOnlyList<HistorySample> Samples);

/// <summary>One second of the node. Rates are per second; ratios and latencies are null when nothing happened.</summary>
/// <param name="At">End of the second, in Unix milliseconds.</param>
/// <param name="HitRatio">Share of reads in this second that found their block.</param>
/// <param name="MatchRatio">Share of the blocks that prefix questions named and that were here.</param>
/// <param name="BytesIn">Payload bytes written.</param>
/// <param name="BytesOut">Payload bytes read.</param>
/// <param name="Connections">Open connections of the data plane.</param>
/// <param name="FarTiers">Tiers beyond the node; null or empty: none.</param>
public sealed record HistorySample(
    long At,
    IReadOnlyList<TierSample> Tiers,
    double? HitRatio,
    double? MatchRatio,
    double BytesIn,
    double BytesOut,
    double Reads,
    double Writes,
    double Evictions,
    LatencySample? Get,
    LatencySample? Put,
    int Connections,
    long Mismatches,
    IReadOnlyList<FarTierSample>? FarTiers = null);

/// <summary>One tier in one second.</summary>
/// <param name="HitRatio">Share of the reads of this second that this tier served.</param>
public sealed record TierSample(string Name, long UsedBytes, long CapacityBytes, long Blocks, double? HitRatio, double Evictions);

/// <summary>How long operations of one second took, on the server: from the parsed request to the last byte sent.</summary>
public sealed record LatencySample(double P50Microseconds, double P99Microseconds, long Operations);
