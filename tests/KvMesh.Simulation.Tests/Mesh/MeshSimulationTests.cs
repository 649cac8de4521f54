using KvMesh.Simulation.Mesh;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Simulation.Tests.Mesh;

public sealed class MeshSimulationTests
{
    private static readonly List<PromptRequest> Prompts = ConversationGenerator.Generate(new ConversationOptions { Requests = 3_000, MeanGapMs = 200 });

    private static readonly MeshScenario Fleet = new() { Nodes = 8, BlocksPerNode = 250 };

    [Fact]
    public void A_mesh_hits_nearly_what_one_cache_of_its_size_hits_and_private_caches_far_less()
    {
        var reports = MeshComparison.Run(Fleet, 2_000, Prompts).ToDictionary(row => row.Name, row => row.Report.HitRatio);

        Assert.InRange(reports["mesh, round robin"], reports["one cache"] - 0.08, reports["one cache"] + 0.03);
        Assert.True(reports["private, round robin"] < reports["mesh, round robin"] - 0.2, string.Join(", ", reports));
    }

    [Fact]
    public void One_node_is_the_plain_model_of_least_recently_used()
    {
        var model = new LruModel(2_000);
        Prompts.ForEach(model.Serve);

        Assert.Equal(model.HitBlocks, MeshSimulation.Run(Fleet with { Nodes = 1, BlocksPerNode = 2_000 }, Prompts).LocalHits);
    }

    [Fact]
    public void The_scheduler_turns_remote_hits_into_local_ones_and_costs_no_hits()
    {
        var without = MeshSimulation.Run(Fleet, Prompts);
        var with = MeshSimulation.Run(Fleet with { HasScheduler = true }, Prompts);

        Assert.True(with.Orders > 0 && with.MovedBytes > 0 && with.Plans > 10);
        Assert.True(with.LocalHits > without.LocalHits, $"{with.LocalHits} against {without.LocalHits}");
        Assert.InRange(with.HitRatio, without.HitRatio - 0.02, 1);
    }

    [Fact]
    public void Affinity_finds_blocks_where_they_are()
    {
        var roundRobin = MeshSimulation.Run(Fleet, Prompts);
        var affinity = MeshSimulation.Run(Fleet with { Routing = MeshRouting.Affinity }, Prompts);

        Assert.True(affinity.LocalHits > 2 * roundRobin.LocalHits, $"{affinity.LocalHits} against {roundRobin.LocalHits}");
    }

    [Fact]
    public void A_node_that_fails_costs_what_only_it_held()
    {
        var middle = Prompts[Prompts.Count / 2].TimestampMs;
        var whole = MeshSimulation.Run(Fleet, Prompts);
        var broken = MeshSimulation.Run(Fleet with { Faults = [new NodeFault(3, middle, middle + 10_000)] }, Prompts);

        Assert.InRange(broken.HitRatio, whole.HitRatio - 0.1, whole.HitRatio - 0.0001);
    }

    [Fact]
    public void Failures_that_are_spread_hit_different_nodes_within_the_trace_and_one_stays()
    {
        var faults = NodeFault.Spread(failures: 7, nodes: 8, traceMs: 60_000, TimeSpan.FromSeconds(5), seed: 3);

        Assert.Equal(7, faults.Select(fault => fault.Node).Distinct().Count());
        Assert.All(faults, fault => Assert.True(fault is { Node: >= 0 and < 8, AtMs: >= 0 and < 60_000 } && fault.UntilMs - fault.AtMs == 5_000, $"{fault}"));
        Assert.Equal(faults.AsEnumerable(), NodeFault.Spread(failures: 7, nodes: 8, traceMs: 60_000, TimeSpan.FromSeconds(5), seed: 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => NodeFault.Spread(failures: 8, nodes: 8, traceMs: 60_000, TimeSpan.FromSeconds(5), seed: 3));
    }

    [Fact]
    public void Equal_scenarios_give_equal_reports()
    {
        var scenario = Fleet with { HasScheduler = true, Routing = MeshRouting.Affinity };
        var (first, second) = (MeshSimulation.Run(scenario, Prompts), MeshSimulation.Run(scenario, Prompts));

        Assert.Equal(first with { PlanMilliseconds = default }, second with { PlanMilliseconds = default });
    }

    [Fact]
    public void What_was_pulled_is_the_next_to_leave()
    {
        var cache = new PrefixCache(2);
        cache.Touch(1, out _);
        cache.Offer(2, out _);

        Assert.False(cache.Touch(3, out var victim));
        Assert.Equal(2UL, victim);
        Assert.True(cache.Contains(1));
    }

    [Fact]
    public void The_cache_agrees_with_a_list_that_is_kept_in_order()
    {
        var random = new Random(7);
        var cache = new PrefixCache(50);
        var model = new List<ulong>();
        for (var step = 0; step < 20_000; step++)
        {
            var id = (ulong)random.Next(120);
            var isTouch = random.Next(3) > 0;
            var wasHere = model.Contains(id);
            ulong? left = !wasHere && model.Count == 50 ? model[0] : null;
            if (left is not null)
            {
                model.RemoveAt(0);
            }

            if (isTouch)
            {
                model.Remove(id);
                model.Add(id);
            }
            else if (!wasHere)
            {
                model.Insert(0, id);
            }

            ulong? victim;
            Assert.Equal(wasHere, isTouch ? cache.Touch(id, out victim) : cache.Offer(id, out victim));
            Assert.Equal(left, victim);
            Assert.Equal(model.Count, cache.Count);
        }
    }
}
