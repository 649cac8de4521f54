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
        var alone = RetentionStudy.Run(Trace, SimulatedPolicies.Names, [500], isLearnedWanted: false, TimeProvider.System, default);
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
    public void What_a_full_disk_gave_up_is_in_redis()
    {
        // Six prompts of one block: RAM and disk have room for one each, and what went through the disk when it was full is in Redis.
        var trace = ChainedTrace.Of([Prompt(0, 1), Prompt(1000, 2), Prompt(2000, 3), Prompt(3000, 4), Prompt(4000, 3), Prompt(5000, 2)]);
        var result = TierStudy.Run(
            trace, ["lru"], [new TierRoom(TierKind.Ram, 1, 1), new TierRoom(TierKind.Disk, 1, 1), new TierRoom(TierKind.Redis, 10, 1)], default).Policies.Single();

        Assert.Equal([0, 1.0 / 6, 1.0 / 6], result.TierHitRatios.AsEnumerable());
    }

    /// <summary>RAM and disk hit about what one cache of that size does, of which the disk writes every block that was computed at most two and a half times.</summary>
    [Theory]
    [InlineData("lru", 500, 2500)]
    [InlineData("hazard", 500, 2500)]
    [InlineData("lru", 300, 5000)]
    [InlineData("hazard", 300, 5000)]
    public void Ram_and_disk_are_worth_about_one_cache_of_that_size(string policy, int ram, int disk)
    {
        var one = RetentionStudy.Run(Trace, [policy], [ram + disk], isLearnedWanted: false, TimeProvider.System, default).Policies.Single();
        var tiers = TierStudy.Run(Trace, [policy], [new TierRoom(TierKind.Ram, ram, 1), new TierRoom(TierKind.Disk, disk, 1)], default).Policies.Single();

        Assert.InRange(tiers.HitRatio, one.HitRatio - 0.015, 1);
        Assert.InRange(tiers.DiskWrites, 1, 5 * (Trace.Touches - (long)(tiers.HitRatio * Trace.AskedBlocks)) / 2);
    }

    [Fact]
    public void Redis_is_spared_what_is_not_likely_to_be_used()
    {
        // Half of the sessions are long documents of which one in ten is asked about again.
        var trace = ChainedTrace.Of(FleetTrace.Generate(new FleetTraceOptions { Requests = 3000, DocumentShare = 0.5, AgentShare = 0.1 }));
        var result = TierStudy.Run(trace, ["lru", "hazard"], [new TierRoom(TierKind.Ram, 1000, 1), new TierRoom(TierKind.Redis, 10_000, 1)], default).Policies;

        Assert.InRange(result[1].HitRatio, result[0].HitRatio - 0.01, 1);
        Assert.InRange(result[1].RedisWrites, 1, 0.99 * result[0].RedisWrites);
    }

    [Fact]
    public void With_room_for_all_on_disk_or_in_redis_everything_asked_before_is_hit()
    {
        foreach (var below in (TierKind[])[TierKind.Disk, TierKind.Redis])
        {
            var report = TierStudy.Run(Trace, SimulatedPolicies.Names, [new TierRoom(TierKind.Ram, 300, 1), new TierRoom(below, 2 * Trace.DistinctBlocks, 1)], default);

            // The learned policy keeps from Redis what is not worth a write.
            Assert.All(
                report.Policies.Where(result => below == TierKind.Disk || result.Policy != "hazard"), result => Assert.Equal(report.InfiniteHitRatio, result.HitRatio, 9));
            Assert.All(report.Policies, result => Assert.InRange(result.HitRatio, report.InfiniteHitRatio - 0.02, report.InfiniteHitRatio));
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
