using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Tests.Retention;

public sealed class FollowedBlocksTests
{
    private const int Ages = 4;

    [Fact]
    public void Says_of_every_use_what_a_cache_in_order_of_use_would_hold()
    {
        var random = new Random(7);
        var hazard = new ReuseHazard();
        var lru = new List<ulong>();
        for (var use = 0; use < 20_000; use++)
        {
            // What fits grows and shrinks while blocks pass from age to age.
            var capacity = 1 + (use / 500 % 30);
            var now = use * TimeSpan.TicksPerSecond;
            var block = (ulong)Math.Min(random.Next(60), random.Next(60));
            hazard.Advance(now);

            Assert.Equal(lru.Contains(block), hazard.Use(block, default, capacity, now).WouldBeHere);
            lru.Remove(block);
            lru.Add(block);
            lru.RemoveRange(0, Math.Max(0, lru.Count - capacity));
        }
    }

    [Fact]
    public void A_use_passes_each_age_once_unless_another_comes_before()
    {
        var followed = new FollowedBlocks(Ages);
        Use(followed, 1, at: 10);
        Use(followed, 2, at: 20);

        Assert.Equal([1], Passing(followed, age: 0, latest: 10));
        Assert.Equal((1, 0), (AgesPassed(followed, 1), AgesPassed(followed, 2)));
        Assert.Equal([2], Passing(followed, age: 0, latest: 25));
        Assert.Equal([1], Passing(followed, age: 1, latest: 10));
        Use(followed, 1, at: 30);

        Assert.Equal((0, 1), (AgesPassed(followed, 1), AgesPassed(followed, 2)));
        Assert.Equal([2], Passing(followed, age: 1, latest: 40));
        Assert.Equal([1], Passing(followed, age: 0, latest: 40));
        Assert.Equal([], Passing(followed, age: 2, latest: 5));
    }

    [Fact]
    public void However_often_the_log_is_written_anew_each_use_keeps_its_age()
    {
        var random = new Random(11);
        var followed = new FollowedBlocks(Ages);
        var passed = new Dictionary<ulong, (long At, int Ages)>();
        for (var now = 0L; now < 30_000; now++)
        {
            var block = (ulong)random.Next(400);
            Assert.Equal(passed.ContainsKey(block), followed.Find(block) != FollowedBlocks.None);
            Use(followed, block, now);
            passed[block] = (now, 0);
            for (var age = Ages - 2; now % 7 == 0 && age >= 0; age--)
            {
                // Ages end 50, 200 and 800 after a use.
                var latest = now - (50 << (2 * age));
                foreach (var each in Passing(followed, age, latest))
                {
                    Assert.Equal(age, passed[each].Ages);
                    passed[each] = (passed[each].At, age + 1);
                }

                Assert.All(passed.Values, use => Assert.True(use.Ages != age || use.At > latest));
            }
        }

        Assert.All(passed, each => Assert.Equal(each.Value.Ages, AgesPassed(followed, each.Key)));
        Assert.Equal(passed.Count, followed.Count);
    }

    [Fact]
    public void Where_more_are_here_than_can_be_followed_a_share_of_the_blocks_is()
    {
        var followed = new FollowedBlocks(Ages);
        followed.ThinOut(FollowedBlocks.MaxFollowed / 2);
        Assert.Equal(1, followed.OneIn);
        for (var fingerprint = 0ul; fingerprint < 10_000; fingerprint++)
        {
            Use(followed, fingerprint, at: (long)fingerprint);
        }

        followed.ThinOut((2 * FollowedBlocks.MaxFollowed) - 1);

        Assert.Equal(4, followed.OneIn);
        var left = 0;
        for (var fingerprint = 0ul; fingerprint < 10_000; fingerprint++)
        {
            Assert.Equal(followed.Follows(fingerprint), followed.Find(fingerprint) != FollowedBlocks.None);
            left += followed.Follows(fingerprint) ? 1 : 0;
        }

        Assert.InRange(left, 2000, 3000);
    }

    private static void Use(FollowedBlocks followed, ulong block, long at) => followed.Add(new FollowedUse(block, at, default));

    private static int AgesPassed(FollowedBlocks followed, ulong block) => followed.AgesPassed(followed.Find(block), Ages - 1);

    private static List<ulong> Passing(FollowedBlocks followed, int age, long latest)
    {
        var blocks = new List<ulong>();
        while (followed.TryPass(age, latest, out var place))
        {
            blocks.Add(followed.At(place).Fingerprint);
        }

        return blocks;
    }

    [Fact]
    public void Where_few_blocks_are_here_few_are_followed_and_more_once_more_are()
    {
        var followed = new FollowedBlocks(Ages);
        followed.ThinOut(10);
        Fill(0, 2 * FollowedBlocks.MinFollowed);
        Assert.Equal(FollowedBlocks.MinFollowed, followed.Count);
        Assert.Equal(FollowedBlocks.None, followed.Find(FollowedBlocks.MinFollowed - 1));
        Assert.NotEqual(FollowedBlocks.None, followed.Find(FollowedBlocks.MinFollowed));

        followed.ThinOut(1000);
        Fill(2 * FollowedBlocks.MinFollowed, 4 * FollowedBlocks.MinFollowed);
        Assert.Equal(1000 * FollowedBlocks.FollowedPerBlock, followed.Count);

        void Fill(int from, int to)
        {
            for (var number = from; number < to; number++)
            {
                followed.Add(new FollowedUse((ulong)number, number, default));
            }
        }
    }
}
