using KvMesh.Simulation.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Tests.Retention;

public sealed class RetentionStudyTests
{
    private static readonly ChainedTrace Trace = ChainedTrace.Of(FleetTrace.Generate(new FleetTraceOptions { Requests = 1500, Tenants = 3, AgentShare = 0.2 }));
    private static readonly int[] Capacities = [50, 500, 5_000, Trace.DistinctBlocks];

    [Fact]
    public void Equal_traces_give_equal_reports()
    {
        var first = Run();
        var second = Run();

        Assert.Equal(first.Optimum.AsEnumerable(), second.Optimum.AsEnumerable());
        Assert.Equal(first.Policies.Select(Figures), second.Policies.Select(Figures));

        static PolicyResult Figures(PolicyResult result) => result with { NanosecondsPerTouch = 0 };
    }

    [Fact]
    public void There_is_a_result_for_every_policy_and_capacity_and_none_beats_the_optimum()
    {
        var report = Run();

        Assert.Equal(
            SimulatedPolicies.Names.SelectMany(policy => Capacities.Select(capacity => (policy, capacity))),
            report.Policies.Select(result => (result.Policy, result.Capacity)));
        Assert.All(report.Policies, result => Assert.InRange(result.Regret, 0, 1));
        Assert.All(report.Policies, result => Assert.Equal(
            report.Optimum.Single(optimum => optimum.Capacity == result.Capacity).HitRatio, result.HitRatio + result.Regret, 9));
    }

    [Fact]
    public void With_room_for_all_every_policy_hits_what_a_cache_without_limit_hits()
    {
        var report = Run();

        Assert.InRange(report.InfiniteHitRatio, 0.2, 0.95);
        Assert.Equal(report.InfiniteHitRatio, report.Optimum[^1].HitRatio);
        Assert.All(report.Policies.Where(result => result.Capacity == Trace.DistinctBlocks), result =>
        {
            Assert.Equal(report.InfiniteHitRatio, result.HitRatio);
            Assert.Equal(0, result.Evictions);
        });
    }

    [Fact]
    public void More_room_never_costs_the_optimum_or_least_recently_used_a_hit()
    {
        var report = Run();

        Assert.Equal(report.Optimum.Select(optimum => optimum.Hits).Order(), report.Optimum.Select(optimum => optimum.Hits));
        var lru = report.Policies.Where(result => result.Policy == SimulatedPolicies.Lru).Select(result => result.Hits).ToArray();
        Assert.Equal(lru.Order(), lru);
    }

    /// <summary>Floods of what never comes again, and moments at which all that was learned of sessions and system prompts is over.</summary>
    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Scans_and_changes_of_phase_cost_the_default_policy_half_a_point_against_lru_at_most(bool hasScans, bool hasPhases)
    {
        var trace = ChainedTrace.Of(FleetTrace.Generate(new FleetTraceOptions
        {
            Seed = 11,
            Requests = 8_000,
            AgentShare = 0.05,
            ScansAtSeconds = hasScans ? [300, 1_000, 1_700] : [],
            PhasesAtSeconds = hasPhases ? [600, 1_200, 1_800] : [],
        }));
        int[] capacities = [300, 1_000, 3_000, 10_000, 30_000];

        var results = RetentionStudy.Run(
            trace, [SimulatedPolicies.Lru, SimulatedPolicies.Hazard], capacities, isLearnedWanted: false, TimeProvider.System, default).Policies;

        foreach (var (lru, hazard) in results.Take(capacities.Length).Zip(results.Skip(capacities.Length)))
        {
            Assert.True(hazard.HitRatio > lru.HitRatio - 0.005, $"{lru.Capacity}: {hazard.HitRatio} against {lru.HitRatio}");
        }
    }

    [Fact]
    public void What_the_learned_policy_knows_at_the_end_is_told_when_it_is_wanted()
    {
        Assert.All(Run().Policies, result => Assert.Null(result.Learned));

        var results = RetentionStudy.Run(Trace, [SimulatedPolicies.Lru, SimulatedPolicies.Hazard], [500], isLearnedWanted: true, TimeProvider.System, default).Policies;

        Assert.Null(results[0].Learned);
        var learned = results[1].Learned!;
        Assert.InRange(learned.HorizonSeconds, 0.01, 3600);

        // Every use of the trace was followed, and is of some class; what was used last is still young.
        Assert.InRange(learned.Classes.Sum(row => row.Touches), Trace.Touches * 0.5, Trace.Touches);
        Assert.InRange(learned.Classes.Sum(row => row.Reuses), Trace.Touches * 0.2, Trace.Touches - Trace.DistinctBlocks);
        Assert.All(learned.Classes, row => Assert.Equal(row.Reuses, row.Ages.Sum(age => age.Reuses), 6));
    }

    [Fact]
    public void A_policy_that_does_not_exist_is_named()
    {
        var failure = Assert.Throws<ArgumentException>(() => SimulatedPolicies.Create("clairvoyant"));

        Assert.Contains("'clairvoyant'", failure.Message, StringComparison.Ordinal);
        Assert.Contains(SimulatedPolicies.Lru, failure.Message, StringComparison.Ordinal);
    }

    private static RetentionReport Run() =>
        RetentionStudy.Run(Trace, SimulatedPolicies.Names, Capacities, isLearnedWanted: false, TimeProvider.System, CancellationToken.None);
}
