using KvMesh.Engine.Coding;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol.Admin;

namespace KvMesh.Gateway.Http;

/// <summary>Turns the engine's figures into the words of the admin API.</summary>
internal static class StatusViews
{
    public static NodeStatus Status(NodeView node)
    {
        var engine = node.Engine.Snapshot();
        var protocols = node.Connections()
            .CountBy(connection => connection.Protocol)
            .OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => new ProtocolStatus(pair.Key, pair.Value));

        return new NodeStatus(
            node.NodeId,
            node.Version,
            engine.Incarnation,
            engine.StartedAt,
            (node.Time.GetUtcNow() - engine.StartedAt).TotalSeconds,
            node.IsReady,
            node.DataDirectory,
            engine.Tenants.Count,
            node.Endpoints(),
            [.. protocols],
            CurrentProcess(),
            Tiers(engine),
            [.. engine.Arenas.Select(View)],
            View(engine.Traffic),
            View(engine.Integrity),
            FarTiers(node, engine),
            node.State(),
            View(engine.Coding))
        {
            Codings =
            [
                new TierCodingStatus(TierNames.Host, View(engine.HostCoding)),
                new TierCodingStatus(TierNames.Disk, View(engine.Coding)),
                .. node.FarCodings().Select(far => new TierCodingStatus(far.Tier, View(far.Coding))),
            ],
        };
    }

    public static IReadOnlyList<TierStatus> Tiers(EngineSnapshot engine) => [.. engine.Tiers.Select(View)];

    /// <summary>What other nodes read here is no figure of a tier: it is what this node gave to its peers.</summary>
    private static IReadOnlyList<FarTierStatus> FarTiers(NodeView node, EngineSnapshot engine) =>
    [
        .. engine.FarTiers.Select(tier => new FarTierStatus(
            tier.Name, node.FarTierState(tier.Name), tier.Hits, tier.Misses, tier.FalseHits, tier.Failures, tier.HitBytes, tier.Mismatches, tier.Background,
            tier.Name == FarTierNames.Peers ? engine.PeerReads : tier.Offered,
            tier.Name == FarTierNames.Peers ? engine.PeerReadBytes : tier.OfferedBytes)
        {
            KnownBlocks = tier.Name == TierNames.Gpu ? engine.Held.Blocks : null,
            KnownBytes = tier.Name == TierNames.Gpu ? engine.Held.Bytes : null,
        }),
    ];

    public static TenantStatus View(TenantSnapshot tenant) => new(
        tenant.Name, tenant.IsolationGroup, tenant.HostBytes, tenant.HostShareBytes, tenant.Blocks, tenant.Hits, tenant.Misses,
        tenant.Holes, tenant.LeasedBytes, tenant.YieldedLeases);

    private static TierStatus View(TierSnapshot tier) => new(
        tier.Name, tier.CapacityBytes, tier.UsedBytes, tier.Blocks, tier.Hits, tier.Evictions, tier.EvictedBytes, tier.StoredBytes,
        tier.DroppedBlocks);

    private static ArenaStatus View(ArenaSnapshot arena) => new(
        arena.IsolationGroup, arena.Path, arena.CapacityBytes, arena.AllocatedBytes, arena.LargestHoleBytes, arena.Fragmentation,
        arena.WarmBytes)
    {
        HugePageBytes = arena.HugePageBytes,
    };

    private static TrafficStatus View(TrafficSnapshot traffic) => new(
        traffic.Reads, traffic.ReadHits, traffic.ReadBytes, traffic.Writes, traffic.WrittenBytes, traffic.DuplicateWrites,
        traffic.RefusedWrites, traffic.MatchRequests, traffic.MatchedBlocks, traffic.AskedBlocks);

    private static CodingStatus View(CodingSnapshot coding) => new(
        [
            .. coding.Codecs.Select(codec => new CodecStatus(
                codec.Name, codec.EncodedBlocks, codec.EncodedFromBytes, codec.EncodedToBytes, codec.EncodeTime.TotalSeconds, codec.DecodedBlocks,
                codec.DecodedBytes, codec.DecodeTime.TotalSeconds)
            {
                Loss = View(codec.Lost),
            }),
        ],
        [.. coding.Fallbacks.Select(fallback => new CodingFallbackStatus(fallback.Reason, fallback.Blocks))],
        coding.UndecodableBlocks);

    private static CodecLossStatus? View(in LossSums lost) => lost.Blocks == 0
        ? null
        : new CodecLossStatus(lost.Blocks, lost.MeanOf(lost.Keys), lost.MeanOf(lost.Values), lost.MeanOf(lost.Outputs), lost.WorstOutputs);

    private static IntegrityStatus View(IntegritySnapshot integrity) => new(
        integrity.VerifiedBlocks, integrity.VerifiedBytes, integrity.Mismatches, integrity.QuarantinedBlocks, integrity.ScrubbedBlocks,
        integrity.ScrubbedBytes, integrity.ScrubPasses);

    /// <summary>Without <c>System.Diagnostics.Process</c>, which reads a file for each thread of the process.</summary>
    private static ProcessStatus CurrentProcess() => new(
        Environment.ProcessId, Environment.CpuUsage.TotalTime.TotalSeconds, Environment.ProcessorCount, Environment.WorkingSet,
        GC.GetTotalMemory(forceFullCollection: false), Directory.EnumerateDirectories("/proc/self/task").Count());
}
