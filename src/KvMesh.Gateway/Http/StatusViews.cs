using System.Diagnostics;
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
            View(engine.Integrity));
    }

    public static IReadOnlyList<TierStatus> Tiers(EngineSnapshot engine) => [.. engine.Tiers.Select(View)];

    public static TenantStatus View(TenantSnapshot tenant) => new(
        tenant.Name, tenant.IsolationGroup, tenant.HostBytes, tenant.HostShareBytes, tenant.Blocks, tenant.Hits, tenant.Misses,
        tenant.Holes, tenant.LeasedBytes, tenant.YieldedLeases);

    private static TierStatus View(TierSnapshot tier) => new(
        tier.Name, tier.CapacityBytes, tier.UsedBytes, tier.Blocks, tier.Hits, tier.Evictions, tier.EvictedBytes, tier.StoredBytes,
        tier.DroppedBlocks);

    private static ArenaStatus View(ArenaSnapshot arena) => new(
        arena.IsolationGroup, arena.Path, arena.CapacityBytes, arena.AllocatedBytes, arena.LargestHoleBytes, arena.Fragmentation,
        arena.WarmBytes);

    private static TrafficStatus View(TrafficSnapshot traffic) => new(
        traffic.Reads, traffic.ReadHits, traffic.ReadBytes, traffic.Writes, traffic.WrittenBytes, traffic.DuplicateWrites,
        traffic.RefusedWrites, traffic.MatchRequests, traffic.MatchedBlocks, traffic.AskedBlocks);

    private static IntegrityStatus View(IntegritySnapshot integrity) => new(
        integrity.VerifiedBlocks, integrity.VerifiedBytes, integrity.Mismatches, integrity.QuarantinedBlocks, integrity.ScrubbedBlocks,
        integrity.ScrubbedBytes, integrity.ScrubPasses);

    private static ProcessStatus CurrentProcess()
    {
        using var process = Process.GetCurrentProcess();
        return new ProcessStatus(
            Environment.ProcessId, process.TotalProcessorTime.TotalSeconds, Environment.ProcessorCount, process.WorkingSet64,
            GC.GetTotalMemory(forceFullCollection: false), process.Threads.Count);
    }
}
