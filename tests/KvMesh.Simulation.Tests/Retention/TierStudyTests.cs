using KvMesh.Simulation.Retention;
using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Tests.Retention;

public sealed class TierStudyTests
{
    private static readonly ChainedTrace Trace = ChainedTrace.Of(FleetTrace.Generate(new FleetTraceOptions { Requests = 1500, Tenants = 3, AgentShare = 0.2 }));
    private static readonly ChainedTrace Twice = ChainedTrace.Of([Prompt(0, 1, 2, 3, 4), Prompt(1000, 1, 2, 3, 4)]);

    [Fact]
    public void Ram_alone_hits_what_one_cache_hits()
    {
        var alone = RetentionStudy.Run(Trace, SimulatedPolicies.Names, [500], TimeProvider.System, default);
        var tiers = TierStudy.Run(Trace, SimulatedPolicies.Names, [new TierRoom(TierKind.Ram, 500, 1)], default);

        Assert.Equal(alone.Policies.Select(result => result.HitRatio), tiers.Policies.Select(result => result.HitRatio));
        Assert.Equal(alone.Optimum[0].HitRatio, tiers.OptimumHitRatio);
    }

    /// <summary>Of four blocks two stay in RAM, and the end of the chain is below: once in a tier with room for two, once for one at half its size.</summary>
    [Theory]
    [InlineData(TierKind.Disk, 2, 1)]
    [InlineData(TierKind.Disk, 1, 2)]
    [InlineData(TierKind.Redis, 2, 1)]
    [InlineData(TierKind.Redis, 1, 2.9)]
    public void What_leaves_ram_is_found_below(TierKind below, int blocks, double ratio)
    {
        var result = TierStudy.Run(Twice, ["lru"], [new TierRoom(TierKind.Ram, 2, 1), new TierRoom(below, blocks, ratio)], default).Policies.Single();

        Assert.Equal([2.0 / 8, 2.0 / 8], result.TierHitRatios.AsEnumerable());
        Assert.Equal(0.5, result.HitRatio);
    }

    [Fact]
    public void Redis_takes_what_a_full_disk_does_not()
    {
        // Four prompts of one block that nobody asks for twice: the disk takes one, is full, and what leaves RAM from then on goes to Redis.
        var trace = ChainedTrace.Of([Prompt(0, 1), Prompt(1000, 2), Prompt(2000, 3), Prompt(3000, 4), Prompt(4000, 1), Prompt(5000, 3)]);
        var result = TierStudy.Run(
            trace, ["lru"], [new TierRoom(TierKind.Ram, 1, 1), new TierRoom(TierKind.Disk, 1, 1), new TierRoom(TierKind.Redis, 10, 1)], default).Policies.Single();

        Assert.Equal([0, 1.0 / 6, 1.0 / 6], result.TierHitRatios.AsEnumerable());
    }

    [Fact]
    public void With_room_for_all_on_disk_or_in_redis_everything_asked_before_is_hit()
    {
        foreach (var below in (TierKind[])[TierKind.Disk, TierKind.Redis])
        {
            var report = TierStudy.Run(Trace, SimulatedPolicies.Names, [new TierRoom(TierKind.Ram, 300, 1), new TierRoom(below, 2 * Trace.DistinctBlocks, 1)], default);

            Assert.All(report.Policies, result => Assert.Equal(report.InfiniteHitRatio, result.HitRatio, 9));
            Assert.All(report.Policies, result => Assert.All(result.TierHitRatios, ratio => Assert.InRange(ratio, 0.02, report.InfiniteHitRatio)));
        }
    }

    [Fact]
    public void A_tier_below_adds_hits_and_more_of_them_the_smaller_its_blocks_are()
    {
        double[] hits =
        [
            Together(new TierRoom(TierKind.Ram, 500, 1)),
            Together(new TierRoom(TierKind.Ram, 500, 1), new TierRoom(TierKind.Disk, 1000, 1)),
            Together(new TierRoom(TierKind.Ram, 500, 1), new TierRoom(TierKind.Disk, 1000, 3)),
        ];

        Assert.True(hits[0] + 0.02 < hits[1] && hits[1] + 0.02 < hits[2], string.Join(", ", hits));

        static double Together(params TierRoom[] tiers)
        {
            var report = TierStudy.Run(Trace, ["hazard"], tiers, default);
            Assert.InRange(report.Policies.Single().HitRatio, 0, report.OptimumHitRatio);
            return report.Policies.Single().HitRatio;
        }
    }

    [Fact]
    public void Tiers_that_no_node_has_are_refused()
    {
        Refused("tiers begin with ram");
        Refused("tiers begin with ram", new TierRoom(TierKind.Disk, 10, 1));
        Refused("tiers begin with ram", new TierRoom(TierKind.Ram, 10, 1), new TierRoom(TierKind.Redis, 10, 1), new TierRoom(TierKind.Disk, 10, 1));
        Refused("0 blocks at ratio 1", new TierRoom(TierKind.Ram, 0, 1));
        Refused("10 blocks at ratio 0.5", new TierRoom(TierKind.Ram, 10, 0.5));
        Refused("10 blocks at ratio NaN", new TierRoom(TierKind.Ram, 10, double.NaN));

        static void Refused(string words, params TierRoom[] tiers) =>
            Assert.Contains(words, Assert.Throws<ArgumentException>(() => TierStudy.Run(Twice, ["lru"], tiers, default)).Message, StringComparison.Ordinal);
    }

    private static PromptRequest Prompt(long at, params ulong[] blocks) => new(at, blocks, blocks.Length);
}
