using KvMesh.Engine.Advice;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;

namespace KvMesh.Engine;

/// <summary>What other sizes of RAM and disk would answer.</summary>
public sealed partial class BlockEngine
{
    /// <summary>Sizes that curves are given at.</summary>
    private const int CurvePoints = 49;

    /// <summary>How far beyond the sizes in question the curves reach, at either end.</summary>
    private const double CurveReach = 16;

    /// <summary>Estimates from what was asked since the start, the last hours most, what a change would do to the share of blocks that are found.</summary>
    public AdviceSnapshot Advise(in AdviceChange change)
    {
        var hosts = _host.Hosts;
        var hostBytes = hosts.Sum(host => host.CapacityBytes);
        var diskBytes = Snapshot().Tiers.Where(tier => tier.Name == "disk").Sum(tier => tier.CapacityBytes);
        var hostThen = (hostBytes + change.MoreHostBytes) * change.CodecRatio;
        double[] sizes = [hostBytes, hostThen, hostBytes + diskBytes, hostThen + ((diskBytes + change.MoreDiskBytes) * change.CodecRatio)];
        var curve = CurveBetween(hostBytes / CurveReach, Math.Max(sizes[2], sizes[3]) * CurveReach);
        var all = new List<AdvicePart>();
        var tenants = new List<TenantAdvice>();
        var sampledBlocks = 0;
        var sampledShare = 1.0;
        foreach (var host in hosts)
        {
            // The disk is shared by all arenas: each gets the part of it that it has of the RAM.
            var part = host.CapacityBytes / (double)hostBytes;
            var reuse = host.Advisor.Estimate([.. sizes.Select(size => size * part), .. curve.Select(size => size * part)]);
            sampledBlocks += reuse.SampledBlocks;
            sampledShare = Math.Min(sampledShare, reuse.Rate);
            all.Add(PartOf(reuse.All));

            // Tenants that share a curve are one line.
            foreach (var tenant in host.Tenants.DistinctBy(tenant => tenant.Reuse))
            {
                tenants.Add(new TenantAdvice(tenant.Reuse.IsShared ? null : tenant.Name, PartOf(reuse.Tenants[tenant.Reuse])));
            }
        }

        return new AdviceSnapshot(hostBytes, diskBytes, sampledBlocks, sampledShare, curve, Together(all, sampledShare), tenants);
    }

    private static long[] CurveBetween(double first, double last) =>
        [.. Enumerable.Range(0, CurvePoints).Select(point => (long)Math.Round(first * Math.Pow(last / first, point / (CurvePoints - 1.0))))];

    private static AdvicePart PartOf(ReuseEstimate estimate) => new(
        estimate.Touches, estimate.SampledTouches, estimate.Margin, estimate.HitRatios[0], estimate.HitRatios[1], estimate.HitRatios[2], estimate.HitRatios[3],
        estimate.LargestHitRatio, [.. estimate.HitRatios.Skip(4)]);

    private static AdvicePart Together(List<AdvicePart> parts, double sampledShare)
    {
        if (parts.Count == 1)
        {
            return parts[0];
        }

        var touches = parts.Sum(part => part.Touches);
        var sampled = parts.Sum(part => part.SampledTouches);
        double Mean(Func<AdvicePart, double> ratio) => touches <= 0 ? 0 : parts.Sum(part => part.Touches * ratio(part)) / touches;
        return new AdvicePart(
            touches, sampled, CapacityAdvisor.MarginOf(sampledShare, sampled), Mean(part => part.HostNow), Mean(part => part.HostThen), Mean(part => part.AllNow),
            Mean(part => part.AllThen), Mean(part => part.Largest), [.. Enumerable.Range(0, CurvePoints).Select(point => Mean(part => part.Curve[point]))]);
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
