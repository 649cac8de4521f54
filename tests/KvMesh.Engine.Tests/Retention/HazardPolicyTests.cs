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
            hazard.Use(fingerprint, default, capacity: 10, now: (long)fingerprint);
        }

        Assert.False(hazard.Use(3, ReuseClass.Of(turn: 1, gap: 0), capacity: 10, FollowedBlocks.MaxFollowed).IsKnown);
    }

    [Fact]
    public void Of_a_block_that_comes_back_is_known_what_it_was_and_when_it_was_used()
    {
        var hazard = new ReuseHazard();
        hazard.Use(7, ReuseClass.Of(turn: 3, gap: 2), capacity: 1000, now: TimeSpan.TicksPerSecond);
        var reuse = hazard.Use(7, default, capacity: 1000, now: 61 * TimeSpan.TicksPerSecond);

        Assert.Equal((true, new ReuseClass(3, 1, 3)), (reuse.IsKnown, reuse.Class));
        Assert.Equal(60 * TimeSpan.TicksPerSecond, hazard.HorizonTicks);
    }

    [Fact]
    public void What_was_learned_can_be_read_by_class_and_age_and_reading_changes_nothing()
    {
        var hazard = new ReuseHazard();
        hazard.Use(7, ReuseClass.Of(turn: 1, gap: 0), capacity: 1000, now: 0);
        hazard.Use(8, ReuseClass.Of(turn: 1, gap: 0), capacity: 1000, now: 0);
        hazard.Use(7, default, capacity: 1000, now: 5 * TimeSpan.TicksPerSecond);
        for (var now = 0L; now <= 20 * TimeSpan.TicksPerSecond; now += ReuseHazard.StepTicks)
        {
            hazard.Advance(now);
        }

        var order = (hazard.OrderVersion, hazard.LeastLikelyFirst.ToArray());

        var learned = hazard.Learned(followsLru: false);

        Assert.Equal((5.0, 1L), (learned.HorizonSeconds, learned.OneIn));
        Assert.Equal([(1, 0, null, null, 2.0, 1.0), (1, 1, 1.0, 8.0, 1.0, 0.0)], learned.Classes.Select(row => (row.Turn, row.Uses, row.GapFromSeconds, row.GapToSeconds, row.Touches, row.Reuses)));
        var ages = learned.Classes[0].Ages;
        Assert.Equal((5.12, 2.0, 1.0), Assert.Single(ages, age => age.Reuses > 0) is var used ? (used.UntilSeconds, used.Touches, used.Reuses) : default);
        Assert.Equal(2 * 19, ages.Take(19).Sum(age => age.Touches));
        Assert.All(ages, age => Assert.True(age is { Chance: >= 0 and <= 1, ChanceWithinHorizon: >= 0 and <= 1 }, $"{age}"));
        Assert.True(ages[18].Chance > ages[10].Chance && ages[18].ChanceWithinHorizon > ages[24].ChanceWithinHorizon, string.Join(", ", ages));
        Assert.Null(ages[^1].UntilSeconds);
        Assert.Equal(order.OrderVersion, hazard.OrderVersion);
        Assert.Equal(order.Item2, hazard.LeastLikelyFirst);
    }

    [Fact]
    public void Looks_no_further_ahead_than_twice_the_time_for_which_lru_would_keep_a_block()
    {
        var hazard = new ReuseHazard();
        for (var second = 0; second < 1000; second++)
        {
            hazard.Use((ulong)(second % 100), default, capacity: 10, now: second * TimeSpan.TicksPerSecond);
        }

        // Blocks are used again after 100 s, and in 10 s LRU gives up all that it has.
        Assert.Equal(20 * TimeSpan.TicksPerSecond, hazard.HorizonTicks);
    }

    [Fact]
    public void Tells_sessions_that_come_back_at_once_from_those_that_take_their_time()
    {
        // Ten agents ask again each second, 600 people each minute. There is room for the agents, yet more comes between two of their steps.
        var (learned, lru) = (new ChainCache(Create(), 60), new ChainCache(new LruPolicy<ChainBlock>(), 60));
        for (var second = 0ul; second < 1200; second++)
        {
            for (var number = 0ul; number < 10; number++)
            {
                foreach (var cache in new[] { learned, lru })
                {
                    cache.Serve(Chain(1_000_000 + (number * 100), 5), number == 0 ? TimeSpan.TicksPerSecond : 1);
                    cache.Serve(Chain(((second % 60 * 10) + number) * 100, 5), 1);
                }
            }
        }

        Assert.Equal(0, lru.Hits);
        Assert.InRange(learned.Hits, learned.Asked * 3 / 10, learned.Asked);
    }

    [Fact]
    public void Expects_uses_of_what_came_back_before_and_next_to_none_of_what_never_does()
    {
        var policy = Create();
        var cache = SessionsAmongSinglePrompts(policy);
        var session = cache.Blocks.Values.First(block => block.Id >= FirstSession);
        cache.Serve(Chain(1ul << 40, 4));

        Assert.InRange(policy.ExpectedUses(session)!.Value, 0.5, double.MaxValue);
        Assert.InRange(policy.ExpectedUses(cache.Blocks[1ul << 40])!.Value, 0, 0.05);
    }

    [Fact]
    public void Expects_nothing_while_nothing_has_been_learned()
    {
        var policy = Create();
        var cache = new ChainCache(policy, 100);
        for (var request = 0ul; request < 100; request++)
        {
            cache.Serve(Chain(request % 10 * 10, 5));
        }

        Assert.All(cache.Blocks.Values, block => Assert.Null(policy.ExpectedUses(block)));
    }

    [Fact]
    public void What_has_just_come_in_is_spared_even_where_nothing_like_it_ever_comes_back()
    {
        var cache = SessionsAmongSinglePrompts();
        cache.Add(1ul << 40);
        for (var left = 0; left < 30; left++)
        {
            Assert.NotEqual(1ul << 40, cache.Evict()!.Id);
        }
    }

    [Fact]
    public void Who_is_in_use_is_not_proposed_again_and_again()
    {
        var cache = SessionsAmongSinglePrompts();
        foreach (var block in cache.Blocks.Values.Where(block => block.Id < FirstSession))
        {
            block.IsPinned = true;
        }

        // All that is least likely to be used stays, and what is proposed in its place is the end of a chain, or not far from it.
        Assert.NotNull(cache.Evict());
        for (var left = 0; left < 100; left++)
        {
            Assert.NotNull(cache.Evict());
            Assert.InRange(cache.Proposed, 1, 10);
        }
    }

    [Fact]
    public void Long_chains_are_put_in_order_at_once_and_not_block_by_block()
    {
        // No chain fits into the newcomers: its first blocks have left them when its last one comes.
        var cache = new ChainCache(Create(), 1000);
        for (var chain = 0ul; chain < 200; chain++)
        {
            cache.Serve(Chain(chain * 1000, 150));
        }

        Assert.InRange(cache.AllProposed, cache.Evictions, 2 * cache.Evictions);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(TimeSpan.TicksPerSecond - 1, 1)]
    [InlineData(TimeSpan.TicksPerSecond, 2)]
    [InlineData(8 * TimeSpan.TicksPerSecond, 3)]
    [InlineData(63 * TimeSpan.TicksPerSecond, 3)]
    [InlineData(long.MaxValue, 5)]
    public void Gaps_fall_into_a_few_intervals(long ticks, int gap) => Assert.Equal(gap, ReuseClass.GapOf(ticks));

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

    private const ulong FirstSession = 1_000_000;

    /// <summary>Sixty sessions of five blocks that come back all the time, and between them prompts of four blocks that never do: the policy knows by now.</summary>
    private ChainCache SessionsAmongSinglePrompts(IRetentionPolicy<ChainBlock>? policy = null)
    {
        var cache = new ChainCache(policy ?? Create(), 320);
        for (var request = 0ul; request < 3000; request++)
        {
            cache.Serve(Chain(FirstSession + (request % 60 * 100), 5));
            cache.Serve(Chain(request * 10, 4));
        }

        Assert.InRange(cache.Blocks.Keys.Count(id => id >= FirstSession), 280, 300);
        return cache;
    }
}
