using KvMesh.Engine.FarTiers;
using KvMesh.Engine.Telemetry;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol.Admin;

namespace KvMesh.Gateway.Http.History;

/// <summary>Turns counters into what happened since the last call. Used by one thread at a time.</summary>
internal sealed class RateMeter
{
    private readonly NodeView _node;
    private EngineSnapshot _engine;
    private HistogramCounts _gets;
    private HistogramCounts _puts;
    private long _takenAt;

    public RateMeter(NodeView node)
    {
        _node = node;
        _takenAt = node.Time.GetTimestamp();
        _engine = node.Engine.Snapshot();
        (_gets, _puts) = Operations();
    }

    public HistorySample Sample()
    {
        var now = _node.Time.GetTimestamp();
        var engine = _node.Engine.Snapshot();
        var (gets, puts) = Operations();
        var seconds = Math.Max(_node.Time.GetElapsedTime(_takenAt, now).TotalSeconds, 1e-3);
        var (traffic, before) = (engine.Traffic, _engine.Traffic);
        var reads = traffic.Reads - before.Reads;

        var sample = new HistorySample(
            _node.Time.GetUtcNow().ToUnixTimeMilliseconds(),
            [.. engine.Tiers.Select(tier => Tier(tier, _engine.Tiers.FirstOrDefault(earlier => earlier.Name == tier.Name), reads, seconds))],
            Ratio(traffic.ReadHits - before.ReadHits, reads),
            Ratio(traffic.MatchedBlocks - before.MatchedBlocks, traffic.AskedBlocks - before.AskedBlocks),
            (traffic.WrittenBytes - before.WrittenBytes) / seconds,
            (traffic.ReadBytes - before.ReadBytes) / seconds,
            reads / seconds,
            (traffic.Writes - before.Writes) / seconds,
            (engine.Tiers.Sum(tier => tier.Evictions) - _engine.Tiers.Sum(tier => tier.Evictions)) / seconds,
            Latency(gets.Since(_gets)),
            Latency(puts.Since(_puts)),
            _node.Connections().Count,
            engine.Integrity.Mismatches,
            [.. engine.FarTiers.Select(tier => FarTier(tier, engine, reads, seconds))]);

        (_takenAt, _engine, _gets, _puts) = (now, engine, gets, puts);
        return sample;
    }

    private static TierSample Tier(TierSnapshot tier, TierSnapshot? before, long reads, double seconds) => new(
        tier.Name, tier.UsedBytes, tier.CapacityBytes, tier.Blocks, Ratio(tier.Hits - (before?.Hits ?? 0), reads),
        (tier.Evictions - (before?.Evictions ?? 0)) / seconds);

    private FarTierSample FarTier(FarTierSnapshot tier, EngineSnapshot engine, long reads, double seconds)
    {
        var before = _engine.FarTiers.FirstOrDefault(earlier => earlier.Name == tier.Name);
        var foreground = tier.Hits - tier.Background - ((before?.Hits - before?.Background) ?? 0);
        var given = tier.Name == FarTierNames.Peers
            ? engine.PeerReadBytes - _engine.PeerReadBytes
            : tier.OfferedBytes - (before?.OfferedBytes ?? 0);
        return new FarTierSample(
            tier.Name, Ratio(foreground, reads), (tier.Hits - (before?.Hits ?? 0)) / seconds, (tier.Failures - (before?.Failures ?? 0)) / seconds,
            (tier.HitBytes - (before?.HitBytes ?? 0)) / seconds, given / seconds);
    }

    private static double? Ratio(long part, long whole) => whole > 0 ? Math.Clamp((double)part / whole, 0, 1) : null;

    private static LatencySample? Latency(HistogramCounts counts) =>
        counts.Quantile(0.5) is { } half && counts.Quantile(0.99) is { } most ? new LatencySample(half, most, counts.Count) : null;

    private (HistogramCounts Gets, HistogramCounts Puts) Operations()
    {
        var none = new HistogramCounts(new long[LogHistogram.BucketCount], 0);
        var doors = _node.Metrics.Doors.ToList();
        return (
            doors.Aggregate(none, (sum, door) => sum.Plus(door.Get.Read())),
            doors.Aggregate(none, (sum, door) => sum.Plus(door.Put.Read())));
    }
}
