using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

public sealed class HazardPolicyTests : RetentionPolicyContract
{
    [Fact]
    public void Learns_that_chains_which_went_on_come_back_and_single_prompts_do_not()
    {
        Assert.InRange(HitsOfSessions(Create()), 1.5 * HitsOfSessions(new LruPolicy<ChainBlock>()), double.MaxValue);
    }

    [Fact]
    public void Keeps_up_with_lru_where_only_recency_counts()
    {
        // Each document is asked for ten times within a while and then never again.
        var (learned, lru) = (new ChainCache(Create(), 200), new ChainCache(new LruPolicy<ChainBlock>(), 200));
        var random = new Random(5);
        for (var request = 0; request < 20_000; request++)
        {
            var chain = Chain((ulong)((request / 20) + random.Next(10)) * 100, 10);
            learned.Serve(chain);
            lru.Serve(chain);
        }

        Assert.InRange(learned.Hits, lru.Hits - (lru.Asked / 200), lru.Asked);
    }

    [Fact]
    public void While_the_shadow_of_lru_wins_its_order_counts_and_then_the_policy_is_tried_again()
    {
        var guard = new ShadowGuard();
        for (var reference = 0ul; !guard.FollowsLru; reference++)
        {
            Assert.InRange(reference, 0ul, 20_000ul);
            guard.Note(wasHere: false, wouldBeHere: reference >= 10, size: 20);
        }

        for (var reference = 0ul; guard.FollowsLru; reference++)
        {
            Assert.InRange(reference, 0ul, 20_000ul);
            guard.Note(wasHere: true, wouldBeHere: true, size: 20);
        }
    }

    [Fact]
    public void A_policy_that_does_as_well_as_lru_goes_on()
    {
        var guard = new ShadowGuard();
        for (var reference = 0ul; reference < 200_000; reference++)
        {
            guard.Note(wasHere: reference >= 10, wouldBeHere: reference >= 10, size: 20);
            Assert.False(guard.FollowsLru);
        }
    }

    [Fact]
    public void Hazards_are_learned_from_blocks_that_left_and_the_followed_are_bounded()
    {
        var hazard = new ReuseHazard();
        for (var fingerprint = 0ul; fingerprint < FollowedBlocks.MaxFollowed + 10; fingerprint++)
        {
            hazard.Use(fingerprint, turn: 0, uses: 0, capacity: 10, now: (long)fingerprint);
        }

        Assert.False(hazard.Use(3, turn: 1, uses: 0, capacity: 10, FollowedBlocks.MaxFollowed).IsKnown);
        hazard.Use(1ul << 40, turn: 3, uses: 2, capacity: 10, now: TimeSpan.TicksPerSecond);
        var reuse = hazard.Use(1ul << 40, turn: 0, uses: 0, capacity: 10, now: 61 * TimeSpan.TicksPerSecond);
        Assert.Equal((true, 3, 3), (reuse.IsKnown, reuse.Turn, reuse.Uses));
        Assert.Equal(60 * TimeSpan.TicksPerSecond, hazard.HorizonTicks);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100_000)]
    [InlineData(100_001)]
    [InlineData(10_000_000)]
    [InlineData(long.MaxValue / 4)]
    public void An_age_holds_the_ticks_before_its_end(long ticks)
    {
        var age = ReuseHazard.AgeOf(ticks);

        Assert.True(age == ReuseHazard.Ages - 1 || ticks < ReuseHazard.EndOf(age));
        Assert.True(age == 0 || ticks >= ReuseHazard.EndOf(age - 1));
    }

    private protected override IRetentionPolicy<ChainBlock> Create() => RetentionPolicies.Create<ChainBlock>(RetentionKind.Hazard);

    /// <summary>A few sessions that go on a minute later, among many prompts that nobody asks for again: too many for recency.</summary>
    private static double HitsOfSessions(IRetentionPolicy<ChainBlock> policy)
    {
        var cache = new ChainCache(policy, capacity: 300);
        var next = 1ul << 32;
        for (var request = 0; request < 30_000; request++)
        {
            if (request % 4 == 0)
            {
                // 20 sessions in turn, each of 8 turns of one block before the next takes its place.
                var session = request / 4 % 20;
                var turn = request / 80;
                cache.Serve(Chain((ulong)((turn / 8 * 20) + session) * 10, 1 + (turn % 8)), TimeSpan.TicksPerSecond);
            }
            else
            {
                cache.Serve(Chain(next, 10), TimeSpan.TicksPerSecond);
                next += 10;
            }
        }

        return cache.Hits;
    }
}
