using System.Diagnostics.Metrics;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Server.Telemetry;

/// <summary>
/// The figures of a node's engine as instruments. They observe one snapshot, which is taken anew when it is older than a
/// scrape could notice, so that all figures of a scrape belong together.
/// </summary>
internal sealed class NodeMetrics : IDisposable
{
    public const string MeterName = "KvMesh.Node";

    private static readonly TimeSpan SnapshotLife = TimeSpan.FromMilliseconds(200);

    private readonly Func<EngineSnapshot> _takeSnapshot;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private EngineSnapshot? _snapshot;
    private long _takenAt;
    private bool _isOver;

    public NodeMetrics(Func<EngineSnapshot> takeSnapshot, Func<bool> isReady, TimeProvider time)
    {
        _takeSnapshot = takeSnapshot;
        _time = time;
        Meter = new Meter(MeterName);
        Meter.CreateObservableGauge("kvmesh.node.ready", () => isReady() ? 1 : 0, null, "1 while the node takes traffic.");
        Meter.CreateObservableGauge(
            "kvmesh.node.uptime", () => (_time.GetUtcNow() - Snapshot().StartedAt).TotalSeconds, "s", "Time since the process opened the data directory.");
        Meter.CreateObservableGauge("kvmesh.node.incarnation", () => Snapshot().Incarnation, null, "Starts of the data directory so far.");
        Meter.CreateObservableCounter(
            "kvmesh.disk.broken_promises", () => Snapshot().BrokenPromises, "{block}", "Blocks that left the disk although a lease or a pin had promised that they stay.");
        AddTiers();
        AddHeld();
        AddArenas();
        AddTenants();
        AddTraffic();
        AddIntegrity();
        AddCoding();
    }

    public Meter Meter { get; }

    /// <summary>
    /// Of one moment for all figures of a scrape. Exporters collect on threads of their own and may be in the middle of it when the
    /// node stops: from then on the engine, whose memory goes next, is not asked any more.
    /// </summary>
    public EngineSnapshot Snapshot()
    {
        lock (_lock)
        {
            if (_snapshot is null || (!_isOver && _time.GetElapsedTime(_takenAt) > SnapshotLife))
            {
                _snapshot = _takeSnapshot();
                _takenAt = _time.GetTimestamp();
            }

            return _snapshot;
        }
    }

    /// <summary>Waits for a snapshot that is being taken.</summary>
    public void Dispose()
    {
        Meter.Dispose();
        lock (_lock)
        {
            _isOver = true;
            _snapshot ??= _takeSnapshot();
        }
    }

    private void AddTiers() =>
        new ObservedItems<TierSnapshot>(Meter, () => Snapshot().Tiers, "kvmesh.tier", tier => tier.Name)
            .Gauge("kvmesh.tier.capacity", "By", "Bytes that the tier may use.", tier => tier.CapacityBytes)
            .Gauge("kvmesh.tier.used", "By", "Bytes of the tier in use.", tier => tier.UsedBytes)
            .Gauge("kvmesh.tier.blocks", "{block}", "Blocks in the tier.", tier => tier.Blocks)
            .Counter("kvmesh.tier.hits", "{block}", "Blocks served from the tier.", tier => tier.Hits)
            .Counter("kvmesh.tier.evictions", "{block}", "Blocks that left the tier to make room.", tier => tier.Evictions)
            .Counter("kvmesh.tier.evicted", "By", "Bytes that left the tier to make room.", tier => tier.EvictedBytes)
            .Counter("kvmesh.tier.stored", "By", "Payload bytes written into the tier.", tier => tier.StoredBytes)
            .Counter("kvmesh.tier.dropped", "{block}", "Blocks that the tier should have taken and could not.", tier => tier.DroppedBlocks);

    private void AddHeld()
    {
        Meter.CreateObservableGauge("kvmesh.holders", () => Snapshot().Held.Workers, "{worker}", "Connected workers that announce blocks of their own memory.");
        Meter.CreateObservableGauge("kvmesh.held.blocks", () => Snapshot().Held.Blocks, "{block}", "Blocks that they have announced, each counted once for each worker.");
        Meter.CreateObservableGauge("kvmesh.held.size", () => Snapshot().Held.Bytes, "By", "Payload bytes of these.");
    }

    private void AddArenas() =>
        new ObservedItems<ArenaSnapshot>(Meter, () => Snapshot().Arenas, "kvmesh.isolation_group", arena => arena.IsolationGroup)
            .Gauge("kvmesh.arena.capacity", "By", "Bytes of the arena for blocks.", arena => arena.CapacityBytes)
            .Gauge("kvmesh.arena.allocated", "By", "Bytes of the arena in extents.", arena => arena.AllocatedBytes)
            .Gauge("kvmesh.arena.largest_hole", "By", "Largest extent that could be had at once.", arena => arena.LargestHoleBytes)
            .Gauge("kvmesh.arena.warm", "By", "Bytes of the arena whose pages have been touched.", arena => arena.WarmBytes)
            .Gauge("kvmesh.arena.withheld", "By", "Bytes of the arena that the system has no memory for.", arena => arena.WithheldBytes)
            .Gauge("kvmesh.arena.huge_pages", "By", "Bytes of the arena in huge pages.", arena => arena.HugePageBytes)
            .Ratio("kvmesh.arena.fragmentation", "1 - largest hole / free bytes.", arena => arena.Fragmentation);

    private void AddTenants() =>
        new ObservedItems<TenantSnapshot>(Meter, () => Snapshot().Tenants, "kvmesh.tenant", tenant => tenant.Name)
            .Gauge("kvmesh.tenant.host.used", "By", "Bytes of RAM that the tenant's blocks use.", tenant => tenant.HostBytes)
            .Gauge("kvmesh.tenant.host.share", "By", "Bytes of RAM that others cannot evict the tenant from.", tenant => tenant.HostShareBytes)
            .Gauge("kvmesh.tenant.blocks", "{block}", "Blocks of the tenant.", tenant => tenant.Blocks)
            .Gauge("kvmesh.tenant.holes", "{hole}", "Chains of the tenant known to miss a block.", tenant => tenant.Holes)
            .Gauge("kvmesh.tenant.leased", "By", "Bytes under existence leases of the tenant.", tenant => tenant.LeasedBytes)
            .Gauge("kvmesh.tenant.read_in_place", "By", "Bytes of RAM that the tenant's readers in shared memory hold.", tenant => tenant.ReadInPlaceBytes)
            .Counter("kvmesh.tenant.refused_leases", "{lease}", "Leases to read in place that a budget refused.", tenant => tenant.RefusedLeases)
            .Counter("kvmesh.tenant.hits", "{block}", "Blocks that the tenant asked for and got.", tenant => tenant.Hits)
            .Counter("kvmesh.tenant.misses", "{block}", "Blocks that the tenant asked for and that were not here.", tenant => tenant.Misses)
            .Counter("kvmesh.tenant.yielded_leases", "{lease}", "Existence leases that ended early because a budget was spent.", tenant => tenant.YieldedLeases);

    private void AddTraffic() =>
        ObservedItems<TrafficSnapshot>.One(Meter, () => Snapshot().Traffic)
            .Counter("kvmesh.block.reads", "{block}", "Blocks that clients asked for.", traffic => traffic.Reads)
            .Counter("kvmesh.block.read_hits", "{block}", "Blocks that clients asked for and got.", traffic => traffic.ReadHits)
            .Counter("kvmesh.block.read_size", "By", "Payload bytes that clients got.", traffic => traffic.ReadBytes)
            .Counter("kvmesh.block.writes", "{block}", "Blocks that clients wrote.", traffic => traffic.Writes)
            .Counter("kvmesh.block.written_size", "By", "Payload bytes that clients wrote.", traffic => traffic.WrittenBytes)
            .Counter("kvmesh.block.duplicate_writes", "{block}", "Writes of content that was here already.", traffic => traffic.DuplicateWrites)
            .Counter("kvmesh.block.refused_writes", "{block}", "Writes that found no room.", traffic => traffic.RefusedWrites)
            .Counter("kvmesh.match.requests", "{request}", "Questions for the longest prefix that is here.", traffic => traffic.MatchRequests)
            .Counter("kvmesh.match.asked", "{block}", "Blocks that those questions named.", traffic => traffic.AskedBlocks)
            .Counter("kvmesh.match.matched", "{block}", "Blocks that those questions found.", traffic => traffic.MatchedBlocks);

    private void AddIntegrity() =>
        ObservedItems<IntegritySnapshot>.One(Meter, () => Snapshot().Integrity)
            .Counter("kvmesh.integrity.verified", "{block}", "Blocks whose bytes were checked.", integrity => integrity.VerifiedBlocks)
            .Counter("kvmesh.integrity.verified_size", "By", "Bytes that were checked.", integrity => integrity.VerifiedBytes)
            .Counter("kvmesh.integrity.mismatches", "{block}", "Blocks whose bytes were not what was written.", integrity => integrity.Mismatches)
            .Counter("kvmesh.integrity.quarantined", "{block}", "Blocks taken out of service.", integrity => integrity.QuarantinedBlocks)
            .Counter("kvmesh.scrub.blocks", "{block}", "Blocks that the scrubber read.", integrity => integrity.ScrubbedBlocks)
            .Counter("kvmesh.scrub.size", "By", "Bytes that the scrubber read.", integrity => integrity.ScrubbedBytes)
            .Counter("kvmesh.scrub.passes", "{pass}", "Times that the scrubber has been through all blocks.", integrity => integrity.ScrubPasses);

    private void AddCoding()
    {
        new ObservedItems<(string Tier, CodecSnapshot Codec)>(
                Meter,
                () => [.. CodingTiers().SelectMany(tier => tier.Coding.Codecs, (tier, codec) => (tier.Tier, codec))],
                item => [new("kvmesh.tier", item.Tier), new("kvmesh.codec", item.Codec.Name)])
            .Counter("kvmesh.codec.encoded", "{block}", "Blocks that were encoded for the tier.", item => item.Codec.EncodedBlocks)
            .Counter("kvmesh.codec.encoded_from", "By", "Their bytes as they were.", item => item.Codec.EncodedFromBytes)
            .Counter("kvmesh.codec.encoded_to", "By", "Their bytes encoded.", item => item.Codec.EncodedToBytes)
            .Seconds("kvmesh.codec.encode_time", "Time of encoding, with the decoding that proves it.", item => item.Codec.EncodeTime)
            .Counter("kvmesh.codec.decoded", "{block}", "Blocks that were decoded from it.", item => item.Codec.DecodedBlocks)
            .Counter("kvmesh.codec.decoded_size", "By", "Their bytes decoded.", item => item.Codec.DecodedBytes)
            .Seconds("kvmesh.codec.decode_time", "Time of decoding.", item => item.Codec.DecodeTime)
            .Counter("kvmesh.codec.lossy", "{block}", "Of the encoded blocks, those that lost something.", item => item.Codec.Lost.Blocks)
            .Ratio("kvmesh.codec.key_error", "Mean relative error of their keys.", item => item.Codec.Lost.MeanOf(item.Codec.Lost.Keys))
            .Ratio("kvmesh.codec.value_error", "Mean relative error of their values.", item => item.Codec.Lost.MeanOf(item.Codec.Lost.Values))
            .Ratio("kvmesh.codec.output_error", "Mean relative error of attention outputs over them.", item => item.Codec.Lost.MeanOf(item.Codec.Lost.Outputs))
            .Ratio("kvmesh.codec.worst_output_error", "The largest of these errors.", item => item.Codec.Lost.WorstOutputs);
        new ObservedItems<(string Tier, FallbackSnapshot Fallback)>(
                Meter,
                () => [.. CodingTiers().SelectMany(tier => tier.Coding.Fallbacks, (tier, fallback) => (tier.Tier, fallback))],
                item => [new("kvmesh.tier", item.Tier), new("kvmesh.reason", item.Fallback.Reason)])
            .Counter("kvmesh.codec.fallbacks", "{block}", "Blocks that were to be encoded and stayed as they are.", item => item.Fallback.Blocks);
        new ObservedItems<(string Tier, CodingSnapshot Coding)>(Meter, CodingTiers, "kvmesh.tier", item => item.Tier)
            .Counter("kvmesh.codec.undecodable", "{block}", "Blocks that were whole and did not decode to their bytes.", item => item.Coding.UndecodableBlocks);
    }

    /// <summary>Tiers of the engine that encode; those beyond the node have figures of their own.</summary>
    private (string Tier, CodingSnapshot Coding)[] CodingTiers()
    {
        var snapshot = Snapshot();
        return [("host", snapshot.HostCoding), ("disk", snapshot.Coding)];
    }
}
