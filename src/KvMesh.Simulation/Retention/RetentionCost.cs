using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Retention;

/// <summary>What a policy costs in one cache over one trace, alone on its thread.</summary>
/// <param name="NanosecondsPerTouch">Wall time of a use or of a block that comes in, with the cache's own share, which is the same for every policy.</param>
/// <param name="NanosecondsPerEviction">Wall time from the search for a victim until it has left; 0 when nothing left.</param>
/// <param name="BytesPerBlock">Managed memory at the end for each block that is here: the block with its links, and the policy with all it remembers.</param>
public sealed record RetentionCost(double NanosecondsPerTouch, double NanosecondsPerEviction, double BytesPerBlock)
{
    /// <summary>Runs the trace once. Collects garbage before and after, so that memory counts what is kept.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="policy">A name of <see cref="SimulatedPolicies"/>.</param>
    /// <param name="capacity">Blocks that the cache holds, at least 1.</param>
    /// <param name="time">What times are measured with.</param>
    public static RetentionCost Measure(ChainedTrace trace, string policy, int capacity, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(time);
        var places = new SimulatedBlock?[trace.DistinctBlocks];
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var cache = new SimulatedCache(trace, SimulatedPolicies.Create(policy), capacity, places) { Time = time };
        var start = time.GetTimestamp();
        for (var request = 0; request < trace.Requests; request++)
        {
            cache.Serve(request);
        }

        var elapsed = time.GetTimestamp() - start;

        // What has left is kept for the simulation's sake alone.
        foreach (ref var place in places.AsSpan())
        {
            place = place is { IsHere: true } ? place : null;
        }

        var bytes = GC.GetTotalMemory(forceFullCollection: true) - before;
        var nanoseconds = 1e9 / time.TimestampFrequency;
        return new RetentionCost(
            (elapsed - cache.EvictingTicks) * nanoseconds / Math.Max(1, trace.Touches), cache.EvictingTicks * nanoseconds / Math.Max(1, cache.Evictions),
            (double)bytes / Math.Max(1, cache.Count));
    }
}
