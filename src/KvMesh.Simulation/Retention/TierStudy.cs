using System.Collections.Immutable;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Retention;

/// <summary>What the tiers of one node would hit under each policy of RAM, each tier with the codec that its blocks are kept in.</summary>
public static class TierStudy
{
    /// <param name="trace">The trace.</param>
    /// <param name="policies">Names of <see cref="SimulatedPolicies"/>.</param>
    /// <param name="tiers">RAM, and below it disk, Redis or both, in this order.</param>
    /// <param name="cancellationToken">Ends the study between two policies.</param>
    /// <exception cref="ArgumentException">The tiers are not in this order, or a room or ratio is out of bounds; the message names the tier.</exception>
    public static TierReport Run(ChainedTrace trace, IReadOnlyList<string> policies, IReadOnlyList<TierRoom> tiers, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(policies);
        Check(tiers);
        var results = new TierResult[policies.Count];
        var parallel = new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount };
        Parallel.For(0, results.Length, parallel, index => results[index] = Run(trace, policies[index], tiers));
        var room = (int)Math.Min(int.MaxValue, tiers.Sum(tier => (long)tier.Capacity));
        var optimum = OfflineOptimum.HitsOf(trace, OfflineOptimum.NextUses(trace), room);

        return new TierReport(
            trace.Requests, trace.AskedBlocks, trace.DistinctBlocks, trace.Ratio(trace.Touches - trace.DistinctBlocks), trace.Ratio(optimum), [.. tiers], [.. results]);
    }

    /// <summary>Throws unless these are tiers of a node.</summary>
    private static void Check(IReadOnlyList<TierRoom> tiers)
    {
        ArgumentNullException.ThrowIfNull(tiers);
        if (tiers.Count == 0 || tiers[0].Kind != TierKind.Ram || tiers.Zip(tiers.Skip(1)).Any(pair => pair.First.Kind >= pair.Second.Kind))
        {
            throw new ArgumentException("tiers begin with ram; disk and redis may follow, each once and in this order", nameof(tiers));
        }

        foreach (var tier in tiers)
        {
            if (tier.Blocks < 1 || !(tier.Ratio >= 1 && tier.Ratio <= TierRoom.MaxRatio))
            {
                throw new ArgumentException(
                    FormattableString.Invariant($"{tier.Kind}: {tier.Blocks} blocks at ratio {tier.Ratio}; at least 1 block, and a ratio from 1 to {TierRoom.MaxRatio}"), nameof(tiers));
            }
        }
    }

    private static TierResult Run(ChainedTrace trace, string policy, IReadOnlyList<TierRoom> tiers)
    {
        var cache = new TieredCache(trace, SimulatedPolicies.Create(policy), tiers);
        for (var request = 0; request < trace.Requests; request++)
        {
            cache.Serve(request);
        }

        return new TierResult(policy, trace.Ratio(cache.Hits.Sum()), [.. cache.Hits.Select(hits => trace.Ratio(hits))], cache.DiskWrites, cache.RedisWrites);
    }
}

/// <summary>What came of a study. Ratios are relative to all blocks that were asked for, partial ones included.</summary>
/// <param name="InfiniteHitRatio">Of a cache without limit.</param>
/// <param name="OptimumHitRatio">Of Belady's rule with bypass in one tier with the room of all.</param>
public sealed record TierReport(
    int Requests, long AskedBlocks, int DistinctBlocks, double InfiniteHitRatio, double OptimumHitRatio, ImmutableArray<TierRoom> Tiers, ImmutableArray<TierResult> Policies);

/// <summary>One policy.</summary>
/// <param name="HitRatio">Of all tiers together.</param>
/// <param name="TierHitRatios">Of each tier: the fastest that had the block counts.</param>
/// <param name="DiskWrites">Blocks written to disk, those included that were written anew because their place was given up.</param>
/// <param name="RedisWrites">Blocks written to Redis.</param>
public sealed record TierResult(string Policy, double HitRatio, ImmutableArray<double> TierHitRatios, long DiskWrites, long RedisWrites);
