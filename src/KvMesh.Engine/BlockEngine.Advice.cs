using KvMesh.Engine.Advice;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;

namespace KvMesh.Engine;

/// <summary>What other sizes of RAM and disk would answer.</summary>
public sealed partial class BlockEngine
{
    /// <summary>Estimates from what was asked since the start, the last hours most, what a change would do to the share of blocks that are found.</summary>
    public AdviceSnapshot Advise(in AdviceChange change)
    {
        var hosts = _host.Hosts;
        var hostBytes = hosts.Sum(host => host.CapacityBytes);
        var diskBytes = Snapshot().Tiers.Where(tier => tier.Name == "disk").Sum(tier => tier.CapacityBytes);
        var parts = new List<AdvicePart>();
        var tenants = new List<TenantAdvice>();
        foreach (var host in hosts)
        {
            // The disk is shared by all arenas: each gets the part of it that it has of the RAM.
            var part = host.CapacityBytes / (double)hostBytes;
            var ramNow = (double)host.CapacityBytes;
            var ramThen = (ramNow + (change.MoreHostBytes * part)) * change.CodecRatio;
            var allNow = ramNow + (diskBytes * part);
            var allThen = ramThen + ((diskBytes + change.MoreDiskBytes) * part * change.CodecRatio);
            var reuse = host.Advisor.Estimate([ramNow, ramThen, allNow, allThen]);
            parts.Add(PartOf(reuse.All));
            foreach (var tenant in host.Tenants)
            {
                tenants.Add(new TenantAdvice(tenant.Reuse.IsShared ? null : tenant.Name, PartOf(reuse.Tenants[tenant.Reuse])));
            }
        }

        // Tenants that share a curve are one line.
        return new AdviceSnapshot(hostBytes, diskBytes, Together(parts), [.. tenants.Distinct()]);
    }

    private static AdvicePart PartOf(ReuseEstimate estimate) => new(
        estimate.Touches, estimate.HitRatios[0], estimate.HitRatios[1], estimate.HitRatios[2], estimate.HitRatios[3], estimate.LargestHitRatio);

    private static AdvicePart Together(List<AdvicePart> parts)
    {
        var touches = parts.Sum(part => part.Touches);
        double Mean(Func<AdvicePart, double> ratio) => touches <= 0 ? 0 : parts.Sum(part => part.Touches * ratio(part)) / touches;
        return new AdvicePart(
            touches, Mean(part => part.HostNow), Mean(part => part.HostThen), Mean(part => part.AllNow), Mean(part => part.AllThen), Mean(part => part.Largest));
    }

    /// <summary>Somebody looked whether a block is here.</summary>
    /// <param name="block">The block; null: it is not.</param>
    private static void NoteAsked(Tenant tenant, ReadOnlySpan<byte> key, Block? block)
    {
        if (block is not { IsCompanion: true })
        {
            tenant.Host.Advisor.Touch(tenant.Reuse, KeyHash.Of(tenant, key), block is null ? 0 : SizeOf(block));
        }
    }

    /// <summary>A block was read, or was to be.</summary>
    /// <param name="block">The block; null: it is not here.</param>
    private static void NoteReadOf(Tenant tenant, ReadOnlySpan<byte> key, Block? block)
    {
        if (block is not { IsCompanion: true })
        {
            tenant.Host.Advisor.Read(tenant.Reuse, KeyHash.Of(tenant, key), block is null ? 0 : SizeOf(block));
        }
    }

    /// <summary>A chain was asked for, and its first <paramref name="matched"/> blocks are here.</summary>
    private static void NoteAsked(Tenant tenant, KeyRun keys, int matched, Block? deepest) =>
        tenant.Host.Advisor.Touch(tenant.Reuse, KeyHash.OfScope(tenant, keys.Scope), keys, matched, deepest is null ? 0 : SizeOf(deepest));

    private static int SizeOf(Block block) => (int)Extent.RoundUp(block.PayloadBytes);
}
