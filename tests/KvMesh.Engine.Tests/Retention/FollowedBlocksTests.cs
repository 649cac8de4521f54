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

            Assert.Equal(lru.Contains(block), hazard.Use(block, turn: 0, uses: 0, capacity, now).WouldBeHere);
            lru.Remove(block);
            lru.Add(block);
            lru.RemoveRange(0, Math.Max(0, lru.Count - capacity));
        }
    }

    [Fact]
    public void A_block_lies_in_its_age_until_it_passes_or_is_used()
    {
        var followed = new FollowedBlocks(Ages);
        var (first, second) = (followed.Add(1), followed.Add(2));
        followed.Pass(first);

        Assert.Equal((second, first, -1), (followed.OldestOf(0), followed.OldestOf(1), followed.OldestOf(2)));
        followed.Pass(second);
        Assert.Equal((-1, first), (followed.OldestOf(0), followed.OldestOf(1)));
        followed.MoveToNewest(first);
        Assert.Equal((first, second), (followed.OldestOf(0), followed.OldestOf(1)));
        followed.Forget(second);
        Assert.Equal((first, -1, -1), (followed.OldestOf(0), followed.OldestOf(1), followed.Find(2)));
    }

    [Fact]
    public void Where_more_are_here_than_can_be_followed_a_share_of_the_blocks_is()
    {
        var followed = new FollowedBlocks(Ages);
        for (var fingerprint = 0ul; fingerprint < 10_000; fingerprint++)
        {
            followed.Add(fingerprint);
        }

        followed.ThinOut(FollowedBlocks.MaxFollowed / 2);
        Assert.Equal(1, followed.OneIn);
        followed.ThinOut((2 * FollowedBlocks.MaxFollowed) - 1);

        Assert.Equal(4, followed.OneIn);
        var left = 0;
        for (var fingerprint = 0ul; fingerprint < 10_000; fingerprint++)
        {
            Assert.Equal(followed.Follows(fingerprint), followed.Find(fingerprint) >= 0);
            left += followed.Follows(fingerprint) ? 1 : 0;
        }

        Assert.InRange(left, 2000, 3000);
    }
}
