using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Telemetry;

namespace KvMesh.Engine;

/// <summary>What operators are told of an engine.</summary>
internal sealed partial class EngineHost
{
    public EngineSnapshot Snapshot()
    {
        var hosts = _hosts.Select(host => host.Snapshot(_prefaulter?.WarmBytesOf(host) ?? 0) with { HugePageBytes = _prefaulter?.HugeBytesOf(host) ?? 0 }).ToArray();
        return new EngineSnapshot(
            _hosts[0].Arena.Header.Incarnation, _startedAt, [.. TierSnapshots()], hosts, [.. Tenants.All.Select(SnapshotOf)], Traffic(), Integrity())
        {
            FarTiers = [.. _far?.Tiers.Select(tier => tier.Snapshot()) ?? []],
            PeerReads = Counters.PeerReads,
            PeerReadBytes = Counters.PeerReadBytes,
            HeldBlocks = Holds.Blocks,
            HeldBytes = Holds.HeldBytes,
            BrokenPromises = _disk?.BrokenPromises ?? 0,
            Coding = _diskCoder is null ? CodingSnapshot.Empty : _coding.ToSnapshot(),
            HostCoding = _decoder is null ? CodingSnapshot.Empty : _hostCoding.ToSnapshot(),
            EncodedBlocks = _hosts.Sum(host => (long)host.Encoded.Blocks),
            EncodedBytes = _hosts.Sum(host => host.Encoded.Bytes),
            ShadowBlocks = _hosts.Sum(host => (long)host.Shadows),
            ShadowsDropped = Counters.ShadowsDropped,
        };
    }

    /// <summary>How the copy of a block on disk is stored; null: as the block is, or there is none.</summary>
    public StoredForm? FormOnDisk(Block block) =>
        block.IsOnDisk && _disk is { } disk && disk.IsEncoded(block.Disk, out _) && disk.TryReadForm(block.Disk, block.Digest, out var stored) && stored.Codec != 0
            ? new StoredForm(stored.Codec, stored.PayloadBytes)
            : null;

    private IEnumerable<TierSnapshot> TierSnapshots()
    {
        yield return new TierSnapshot(
            "host", _hosts.Sum(host => host.CapacityBytes), _hosts.Sum(host => host.AllocatedBytes), _hosts.Sum(host => (long)(host.Extents - host.Shadows)),
            Counters.HostHits, Counters.HostEvictions, Counters.HostEvictedBytes, Counters.WrittenBytes, Counters.HostDropped);
        if (_disk?.Snapshot() is { } disk)
        {
            yield return new TierSnapshot(
                "disk", disk.CapacityBytes, disk.LiveBytes, disk.LiveRecords, Counters.DiskHits, disk.DroppedRecords, disk.DroppedBytes,
                disk.AppendedBytes, Counters.DiskDropped);
        }
    }

    private static TenantSnapshot SnapshotOf(Tenant tenant) => new(
        tenant.Name, tenant.Host.IsolationGroup, tenant.HostBytes, tenant.ShareBytes, tenant.Scopes.Blocks, tenant.Counters.Hits, tenant.Counters.Misses,
        tenant.Chains.Holes, tenant.Leases.HeldBytes, tenant.Leases.Yielded)
    {
        ReadInPlaceBytes = tenant.Leases.ResidenceBytes,
        RefusedLeases = tenant.Leases.Refused,
    };

    private TrafficSnapshot Traffic() => new(
        Counters.Reads, Counters.HostHits + Counters.DiskHits + Counters.FarHits, Counters.ReadBytes, Counters.Writes, Counters.WrittenBytes, Counters.DuplicateWrites,
        Counters.RefusedWrites, Counters.MatchRequests, Counters.MatchedBlocks, Counters.AskedBlocks);

    private IntegritySnapshot Integrity() => new(
        Counters.VerifiedBlocks, Counters.VerifiedBytes, Counters.Mismatches, Counters.Quarantined, Counters.ScrubbedBlocks, Counters.ScrubbedBytes,
        Counters.ScrubPasses);
}
