using KvMesh.Engine.Retention;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Retention;

/// <summary>What every order of leaving must keep.</summary>
public abstract class RetentionPolicyContract
{
    [Fact]
    public void Every_block_leaves_once_and_then_there_is_no_victim()
    {
        var cache = new ChainCache(Create(), capacity: int.MaxValue);
        cache.Serve(Chain(0, 100));
        cache.Serve(Chain(1000, 100));
        for (var count = 200; count > 0; count--)
        {
            Assert.NotNull(cache.Evict());
        }

        Assert.Null(cache.Evict());
        Assert.Empty(cache.Blocks);
    }

    [Fact]
    public void What_nobody_comes_back_for_leaves_first_and_from_its_end()
    {
        var policy = Create();
        var cache = new ChainCache(policy, capacity: int.MaxValue);
        cache.Serve(Chain(0, 100));
        cache.Serve(Chain(1000, 10));
        cache.Serve(Chain(1000, 10));
        cache.Serve(Chain(2000, 100));
        for (var id = 1000ul; id < 1010; id++)
        {
            policy.Yield(cache.Blocks[id]);
        }

        for (var id = 1009ul; id >= 1000; id--)
        {
            Assert.Equal(id, cache.Evict()!.Id);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void No_parent_leaves_before_its_child_and_nothing_pinned_leaves(int seed)
    {
        // Victims are checked as they are chosen; that there is one whenever one may leave is checked by the size.
        var random = new Random(seed);
        var cache = new ChainCache(Create(), capacity: 300);
        var prompts = new List<ulong[]>();
        var pinned = new Queue<ChainBlock>();
        var next = 0ul;
        for (var request = 0; request < 3000; request++)
        {
            ulong[] prompt = [.. prompts.Count == 0 || random.Next(3) == 0 ? [] : Prefix(prompts[^(1 + random.Next(Math.Min(prompts.Count, 60)))], random), .. Chain(next, 1 + random.Next(20))];
            next += 20;
            prompts.Add(prompt);
            cache.Serve(prompt, random.NextInt64(20 * TimeSpan.TicksPerSecond));
            Assert.True(cache.Blocks.Count <= 300, $"After request {request} there are {cache.Blocks.Count} blocks.");
            if (cache.Blocks.TryGetValue(prompt[random.Next(prompt.Length)], out var block))
            {
                block.IsPinned = true;
                pinned.Enqueue(block);
            }

            if (pinned.Count > 10)
            {
                pinned.Dequeue().IsPinned = false;
            }

            // What is deleted or has expired goes without being asked.
            if (random.Next(4) == 0 && cache.Blocks.Values.FirstOrDefault(candidate => !candidate.HasChildren && !candidate.IsPinned) is { } leaf)
            {
                cache.Remove(leaf.Id);
            }
        }
    }

    [Fact]
    public void While_all_are_in_use_there_is_no_victim_and_the_search_is_bounded()
    {
        var cache = new ChainCache(Create(), capacity: int.MaxValue);
        cache.Serve(Chain(0, 50));
        cache.Serve(Chain(100, 50));
        foreach (var block in cache.Blocks.Values)
        {
            block.IsPinned = true;
        }

        Assert.Null(cache.Evict());
        Assert.InRange(cache.Proposed, 1, 16 * cache.Blocks.Count);

        cache.Blocks[149].IsPinned = false;
        Assert.Equal(149ul, cache.Evict()!.Id);
    }

    [Fact]
    public void Both_orders_name_each_resident_block_once()
    {
        var policy = Create();
        var cache = new ChainCache(policy, capacity: 100);
        for (var request = 0ul; request < 200; request++)
        {
            cache.Serve(Chain(request % 70 * 10, 10));
        }

        var here = cache.Blocks.Keys.Order().ToArray();
        Assert.Equal(here, policy.LeastValuableFirst().Select(block => block.Id).Order());
        Assert.Equal(here, policy.MostValuableFirst().Select(block => block.Id).Order());
    }

    [Fact]
    public void A_chain_that_came_from_its_head_on_leaves_from_its_end()
    {
        // A slow writer: its blocks come seconds apart.
        var cache = new ChainCache(Create(), capacity: int.MaxValue);
        ulong[] chain = Chain(0, 200);
        for (var length = 1; length <= chain.Length; length++)
        {
            cache.Add(chain[length - 1], length == 1 ? null : cache.Blocks[chain[length - 2]]);
            cache.Serve([ulong.MaxValue - (ulong)length]);
        }

        var left = new List<ulong>();
        while (cache.Evict() is { } victim)
        {
            if (victim.Id < 200)
            {
                left.Add(victim.Id);
            }
        }

        Assert.Equal(chain.Reverse(), left);
    }

    [Fact]
    public void A_block_of_low_interest_leaves_before_one_that_was_used()
    {
        var cache = new ChainCache(Create(), capacity: int.MaxValue);
        for (var id = 0ul; id < 20; id++)
        {
            cache.Serve([id]);
            cache.Serve([id]);
            cache.Serve([id]);
        }

        cache.Add(100, lowInterest: true);

        Assert.Equal(100ul, cache.Evict()!.Id);
    }

    [Fact]
    public void What_is_not_here_may_be_touched_and_removed()
    {
        var policy = Create();
        var block = new ChainBlock(1);
        policy.Touch(block, 1);
        policy.Remove(block);

        Assert.Null(policy.NextVictim(_ => VictimVerdict.Take));
        Assert.Empty(policy.LeastValuableFirst());
    }

    [Fact]
    public void Touches_allocate_nothing()
    {
        var cache = new ChainCache(Create(), capacity: 1000);
        for (var id = 0ul; id < 1000; id++)
        {
            cache.Serve([id]);
        }

        Assert.Equal(0, Allocations.Of(() =>
        {
            for (var touch = 0ul; touch < 10_000; touch++)
            {
                cache.Touch(touch * 7 % 1000);
            }
        }));
    }

    private protected abstract IRetentionPolicy<ChainBlock> Create();

    private protected static ulong[] Chain(ulong first, int length) => [.. Enumerable.Range(0, length).Select(index => first + (ulong)index)];

    private static ulong[] Prefix(ulong[] prompt, Random random) => prompt[..(1 + random.Next(prompt.Length))];
}
