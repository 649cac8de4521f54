using KvMesh.Simulation.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Tests.Retention;

/// <summary>Memory is that of the process: no other test runs meanwhile.</summary>
[CollectionDefinition(nameof(RetentionCostTests), DisableParallelization = true)]
public static class RetentionCostCollection;

[Collection(nameof(RetentionCostTests))]
public sealed class RetentionCostTests
{
    private static readonly ChainedTrace Trace = ChainedTrace.Of(FleetTrace.Generate(new FleetTraceOptions { Requests = 600, Seed = 3 }));

    [Theory]
    [InlineData("lru")]
    [InlineData("hazard")]
    public void Counts_touches_evictions_and_what_is_kept(string policy)
    {
        var cost = RetentionCost.Measure(Trace, policy, Trace.DistinctBlocks / 4, TimeProvider.System);

        Assert.True(cost.NanosecondsPerTouch > 0, $"A touch of {policy} takes {cost.NanosecondsPerTouch} ns.");
        Assert.True(cost.NanosecondsPerEviction > 0, $"An eviction of {policy} takes {cost.NanosecondsPerEviction} ns.");

        // A block has ten fields of eight bytes or so; what a policy remembers comes on top.
        Assert.InRange(cost.BytesPerBlock, 80, 2000);
    }

    [Fact]
    public void Where_nothing_leaves_an_eviction_costs_nothing() =>
        Assert.Equal(0, RetentionCost.Measure(Trace, "lru", Trace.DistinctBlocks, new NoTime()).NanosecondsPerEviction);

    private sealed class NoTime : TimeProvider
    {
        public override long GetTimestamp() => 7;
    }
}
