using System.Collections.Immutable;
using KvMesh.Cluster.Loading;
using KvMesh.Simulation.Loading;

namespace KvMesh.Simulation.Tests.Loading;

public sealed class LoadSimulationTests
{
    private static readonly TimeSpan Rounding = TimeSpan.FromTicks(20);

    [Fact]
    public void Alone_a_planned_read_takes_as_long_as_the_plan_says()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var scenario = Any(new Random(seed), requests: 1, links: 2);
            var link = scenario.Links[0] with { Latency = TimeSpan.Zero };
            scenario = scenario with { Links = [link, scenario.Links[1] with { Latency = TimeSpan.Zero }] };

            var plan = ReadPlanner.Plan(InputOf(scenario));

            Near(plan.Time, LoadSimulation.Run(scenario, LoadPolicy.Planned)[0], seed);
            Near(plan.ComputeAllTime, LoadSimulation.Run(scenario, LoadPolicy.AlwaysCompute)[0], seed);
            Near(plan.FetchAllTime, LoadSimulation.Run(scenario, LoadPolicy.AlwaysFetch)[0], seed);
        }
    }

    [Fact]
    public void Without_a_plan_no_read_is_slower_than_computing_or_fetching_all_whatever_the_links()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            Compare(Any(new Random(seed), requests: 1, links: new Random(seed).Next(1, 4)), seed);
        }
    }

    [Fact]
    public void Without_plans_no_one_of_many_requests_over_a_link_is_slower()
    {
        for (var seed = 0; seed < 100; seed++)
        {
            Compare(Any(new Random(seed), requests: 12, links: 1), seed);
        }
    }

    [Fact]
    public void Equal_blocks_meet_where_the_best_plan_splits()
    {
        for (var bytesPerSecond = 1e7; bytesPerSecond < 1e11; bytesPerSecond *= 3)
        {
            var blocks = ImmutableArray.CreateRange(Enumerable.Repeat(new HeldBlock(64, 64 * 131_072, [0]), 128));
            var scenario = new LoadScenario([new SimulatedLink("peer", bytesPerSecond, TimeSpan.Zero)], new PrefillRate(1e-4, 1e-9), [new PrefixRequest(TimeSpan.Zero, blocks)]);

            Near(ReadPlanner.Plan(InputOf(scenario)).Time, LoadSimulation.Run(scenario, LoadPolicy.Unplanned)[0], (int)bytesPerSecond);
        }
    }

    /// <summary>
    /// Sixty-four requests for 8,192 tokens each, as one fleet published: with a saturated link forced loading is several times slower than computing,
    /// with an idle one several times faster. Neither way here may be slower than the better of the two.
    /// </summary>
    [Theory]
    [InlineData(0.99)]
    [InlineData(0.9)]
    [InlineData(0.5)]
    [InlineData(0)]
    public void Many_requests_are_served_no_slower_than_by_the_better_of_loading_and_computing(double busyShare)
    {
        var scenario = Fleet(64, 8192, busyShare);

        var fetch = Mean(LoadSimulation.Run(scenario, LoadPolicy.AlwaysFetch));
        var compute = Mean(LoadSimulation.Run(scenario, LoadPolicy.AlwaysCompute));

        Assert.InRange(Mean(LoadSimulation.Run(scenario, LoadPolicy.Unplanned)), 0, Math.Min(fetch, compute));
        Assert.InRange(Mean(LoadSimulation.Run(scenario, LoadPolicy.Planned)), 0, Math.Min(fetch, compute));
    }

    [Fact]
    public void The_scenario_is_one_in_which_each_pure_way_loses_by_far()
    {
        var (saturated, idle) = (Fleet(64, 8192, 0.99), Fleet(64, 8192, 0));

        Assert.True(Mean(LoadSimulation.Run(saturated, LoadPolicy.AlwaysFetch)) > 4 * Mean(LoadSimulation.Run(saturated, LoadPolicy.AlwaysCompute)));
        Assert.True(Mean(LoadSimulation.Run(idle, LoadPolicy.AlwaysCompute)) > 4 * Mean(LoadSimulation.Run(idle, LoadPolicy.AlwaysFetch)));
    }

    [Theory]
    [InlineData(-0.1)]
    [InlineData(1)]
    public void Refuses_a_link_of_which_nothing_is_left(double busyShare) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => LoadSimulation.Run(Fleet(1, 64, busyShare), LoadPolicy.Planned));

    /// <summary>A worker that computes 60,000 tokens a second, and blocks of 128 KiB a token over a link of 80 GB/s.</summary>
    private static LoadScenario Fleet(int requests, int tokens, double busyShare) => new(
        [new SimulatedLink("peer", 80e9, TimeSpan.FromMilliseconds(1), busyShare)],
        new PrefillRate(1 / 60_000.0, 2e-10),
        [.. Enumerable.Range(0, requests).Select(index => new PrefixRequest(
            TimeSpan.FromMilliseconds(index), [.. Enumerable.Repeat(new HeldBlock(64, 64 * 131_072, [0]), tokens / 64)]))]);

    private static LoadScenario Any(Random random, int requests, int links)
    {
        var wires = Enumerable.Range(0, links).Select(index => new SimulatedLink(
            $"link {index}", 1e7 * Math.Pow(10, random.NextDouble() * 4), TimeSpan.FromMilliseconds(random.Next(5)), random.Next(3) * 0.4));
        var prefixes = Enumerable.Range(0, requests).Select(index => new PrefixRequest(
            TimeSpan.FromMilliseconds(index * random.Next(1, 30)),
            [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => new HeldBlock(
                random.Next(16, 256), random.Next(1, 4_000_000), [.. Enumerable.Range(0, links).Where(_ => random.Next(2) == 0).DefaultIfEmpty(random.Next(links))]))]));
        return new LoadScenario([.. wires], new PrefillRate(1e-5 + (1e-4 * random.NextDouble()), random.Next(2) * 1e-8), [.. prefixes.OrderBy(request => request.At)]);
    }

    private static ReadInput InputOf(LoadScenario scenario) => new()
    {
        Blocks = scenario.Requests[0].Blocks,
        Prefill = scenario.Prefill,
        Sources = [.. scenario.Links.Select(link => new LoadSource(link.Name, SourceKind.Peer, link.BytesPerSecond * (1 - link.BusyShare), link.Latency))],
    };

    private static void Compare(LoadScenario scenario, int seed)
    {
        var fetch = LoadSimulation.Run(scenario, LoadPolicy.AlwaysFetch);
        var compute = LoadSimulation.Run(scenario, LoadPolicy.AlwaysCompute);
        var both = LoadSimulation.Run(scenario, LoadPolicy.Unplanned);
        for (var request = 0; request < both.Length; request++)
        {
            Assert.True(
                both[request] <= fetch[request] + Rounding && both[request] <= compute[request] + Rounding,
                $"seed {seed}, request {request}: {both[request]} against {fetch[request]} fetched and {compute[request]} computed");
        }
    }

    private static void Near(TimeSpan expected, TimeSpan actual, int seed) =>
        Assert.True((expected - actual).Duration() <= Rounding, $"seed {seed}: {actual} instead of {expected}");

    private static double Mean(ImmutableArray<TimeSpan> times) => times.Average(time => time.TotalSeconds);
}
