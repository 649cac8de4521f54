using System.Collections.Immutable;
using KvMesh.Engine.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Retention;

/// <summary>
/// What each policy would hit at each capacity: the policies of the engine over one trace, beside a cache without limit and the optimum of who knows
/// the future. Caches do not meet, so they run on several processors; equal traces give equal reports, times aside.
/// </summary>
public static class RetentionStudy
{
    /// <param name="trace">The trace.</param>
    /// <param name="policies">Names of <see cref="SimulatedPolicies"/>.</param>
    /// <param name="capacities">Blocks that a cache holds, each at least 1.</param>
    /// <param name="isLearnedWanted">Whether the results tell what a policy that learns has learned at the end.</param>
    /// <param name="time">What the caches' own speed is measured with.</param>
    /// <param name="cancellationToken">Ends the study between two caches.</param>
    public static RetentionReport Run(
        ChainedTrace trace, IReadOnlyList<string> policies, IReadOnlyList<int> capacities, bool isLearnedWanted, TimeProvider time,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(policies);
        ArgumentNullException.ThrowIfNull(capacities);
        var nextUses = OfflineOptimum.NextUses(trace);
        var optima = new long[capacities.Count];
        var results = new PolicyResult[policies.Count * capacities.Count];
        var parallel = new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount };
        Parallel.For(0, capacities.Count, parallel, index => optima[index] = OfflineOptimum.HitsOf(trace, nextUses, capacities[index]));
        Parallel.For(0, results.Length, parallel, index => results[index] = Run(
            trace, policies[index / capacities.Count], capacities[index % capacities.Count], optima[index % capacities.Count], isLearnedWanted, time));
        return new RetentionReport(
            trace.Requests, trace.AskedBlocks, trace.Touches, trace.DistinctBlocks, trace.TenantCount, trace.Ratio(HitsWithoutLimit(trace)),
            [.. capacities.Zip(optima, (capacity, hits) => new OptimumResult(capacity, hits, trace.Ratio(hits)))], [.. results]);
    }

    private static PolicyResult Run(ChainedTrace trace, string name, int capacity, long optimum, bool isLearnedWanted, TimeProvider time)
    {
        var policy = SimulatedPolicies.Create(name);
        var cache = new SimulatedCache(trace, policy, capacity);
        var start = time.GetTimestamp();
        for (var request = 0; request < trace.Requests; request++)
        {
            cache.Serve(request);
        }

        var elapsed = time.GetElapsedTime(start);
        return new PolicyResult(
            name, capacity, cache.Hits, trace.Ratio(cache.Hits), trace.Ratio(optimum - cache.Hits), cache.Evictions,
            elapsed.TotalNanoseconds / Math.Max(1, trace.Touches))
        {
            Learned = isLearnedWanted ? (policy as HazardPolicy<SimulatedBlock>)?.Learned() : null,
        };
    }

    /// <summary>Every block but its first use.</summary>
    private static long HitsWithoutLimit(ChainedTrace trace) => trace.Touches - trace.DistinctBlocks;
}

/// <summary>What came of a study. Ratios are relative to all blocks that were asked for, partial ones included.</summary>
/// <param name="AskedBlocks">Blocks of all prompts, partial ones included.</param>
/// <param name="FullBlocks">Of these, full ones: touches.</param>
/// <param name="DistinctBlocks">Different full blocks: no cache ever needs more.</param>
/// <param name="InfiniteHitRatio">Of a cache without limit.</param>
public sealed record RetentionReport(
    int Requests, long AskedBlocks, long FullBlocks, int DistinctBlocks, int Tenants, double InfiniteHitRatio, ImmutableArray<OptimumResult> Optimum,
    ImmutableArray<PolicyResult> Policies);

/// <summary>The bound at one capacity: Belady's rule with bypass, parents never before children.</summary>
public sealed record OptimumResult(int Capacity, long Hits, double HitRatio);

/// <summary>One policy at one capacity.</summary>
/// <param name="Regret">Ratio of blocks that the optimum hits beyond this.</param>
/// <param name="NanosecondsPerTouch">Wall time, evictions and the simulation around the policy included; other caches ran at the same time.</param>
public sealed record PolicyResult(string Policy, int Capacity, long Hits, double HitRatio, double Regret, long Evictions, double NanosecondsPerTouch)
{
    /// <summary>What the policy had learned at the end; null when it learns nothing, or nobody wants to know.</summary>
    public LearnedReuse? Learned { get; init; }
}
