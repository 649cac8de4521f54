using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

/// <summary>Chains whose order was guessed, as on doors whose clients do not name the parent: guesses contradict each other.</summary>
public sealed class ChainOrderTests
{
    [Fact]
    public void Blocks_that_name_each_other_as_parent_can_still_leave()
    {
        using var engine = new TestEngine(options => options.MaxResidentBlocks = 8);
        engine.PutContent("a"u8, "1"u8);
        engine.PutContent("b"u8, "1"u8, parent: "a"u8);
        engine.Engine.Remove(engine.Tenant, "a"u8);
        engine.PutContent("a"u8, "1"u8, parent: "b"u8);

        Assert.True(engine.Engine.Exists(engine.Tenant, "a"u8, engine.Leases, TimeSpan.Zero));
        for (var index = 0; index < 16; index++)
        {
            engine.PutContent(BitConverter.GetBytes(index), "1"u8);
        }

        Assert.Null(engine.Get("a"u8));
        Assert.Null(engine.Get("b"u8));
        Assert.Equal(0, engine.Engine.Snapshot().Tenants[0].Holes);
    }

    [Fact]
    public void A_parent_used_before_its_child_leaves_right_after_it()
    {
        using var engine = new TestEngine(options => options.MaxResidentBlocks = 4);
        engine.PutContent("parent"u8, "1"u8);
        engine.PutContent("other"u8, "1"u8);
        engine.PutContent("child"u8, "1"u8, parent: "parent"u8);
        engine.Get("other"u8);
        engine.PutContent("new"u8, "1"u8);

        engine.PutContent("newer"u8, "1"u8);
        engine.PutContent("newest"u8, "1"u8);

        Assert.Null(engine.Get("child"u8));
        Assert.Null(engine.Get("parent"u8));
        Assert.NotNull(engine.Get("other"u8));
    }

    [Fact]
    public void A_block_that_learns_its_parent_late_deepens_what_is_behind_it()
    {
        using var engine = new TestEngine();
        engine.PutContent("1"u8, "1"u8);
        engine.PutContent("2"u8, "1"u8);
        engine.PutContent("3"u8, "1"u8, parent: "2"u8);
        engine.PutContent("4"u8, "1"u8, parent: "3"u8);
        var (second, last) = (BlockOf(engine, "2"u8), BlockOf(engine, "4"u8));
        Assert.Equal(3, last.Chain!.Depth());

        engine.Tenant.Chains.Attach(second, BlockOf(engine, "1"u8).Digest);

        Assert.Equal(4, last.Chain!.Depth());
        Assert.False(engine.Tenant.Chains.MayHaveGaps);
    }

    [Fact]
    public void A_block_that_comes_back_behind_another_deepens_what_stayed_behind_it()
    {
        using var engine = new TestEngine();
        engine.PutContent("1"u8, "1"u8);
        engine.PutContent("2"u8, "1"u8);
        engine.PutContent("3"u8, "1"u8, parent: "2"u8);
        Assert.Equal(2, BlockOf(engine, "3"u8).Chain!.Depth());
        engine.Engine.Remove(engine.Tenant, "2"u8);

        engine.PutContent("2"u8, "1"u8, parent: "1"u8);

        Assert.Equal(3, BlockOf(engine, "3"u8).Chain!.Depth());
        Assert.False(engine.Tenant.Chains.MayHaveGaps);
    }

    [Fact]
    public void A_parent_that_has_yet_to_come_is_no_gap_and_one_that_left_is()
    {
        using var engine = new TestEngine();
        engine.PutContent("2"u8, "1"u8, parent: "1"u8);
        engine.PutContent("3"u8, "1"u8, parent: "2"u8);
        Assert.False(engine.Tenant.Chains.MayHaveGaps);
        Assert.Equal(0, BlockOf(engine, "3"u8).Chain!.Depth());

        engine.PutContent("1"u8, "1"u8);
        Assert.Equal(3, BlockOf(engine, "3"u8).Chain!.Depth());

        engine.Engine.Remove(engine.Tenant, "1"u8);
        Assert.True(engine.Tenant.Chains.MayHaveGaps);

        engine.Engine.Remove(engine.Tenant, "3"u8);
        engine.Engine.Remove(engine.Tenant, "2"u8);
        Assert.False(engine.Tenant.Chains.MayHaveGaps);
    }

    [Fact]
    public void A_block_removed_before_it_was_linked_does_not_hold_its_parent()
    {
        using var engine = new TestEngine();
        engine.PutContent("parent"u8, "1"u8);
        engine.PutContent("child"u8, "1"u8, parent: "parent"u8);
        var (parent, child) = (BlockOf(engine, "parent"u8), BlockOf(engine, "child"u8));
        engine.Engine.Remove(engine.Tenant, "child"u8);

        engine.Tenant.Chains.Attach(child, parent.Digest);

        Assert.False(parent.HasChildren);
    }

    [Fact]
    public async Task A_block_without_a_copy_in_any_tier_is_a_miss_and_no_endless_wait()
    {
        using var engine = new TestEngine();
        engine.PutContent("a"u8, "1"u8);
        var block = BlockOf(engine, "a"u8);
        Assert.True(block.TryClaim(resident: true));
        engine.Tenant.Host.Forget(block);
        var extent = block.Extent;
        block.Extent = default;
        block.UnclaimAndCheckFree(resident: false);
        engine.Tenant.Host.Free(engine.Tenant, extent, wasPublished: true);

        var read = await Eventually.Within(() => engine.Get("a"u8), "the end of the read");

        Assert.Null(read);
    }

    [Fact]
    public void Threads_that_put_and_remove_links_of_one_chain_leave_no_hole_behind()
    {
        const int Links = 6;
        using var engine = new TestEngine();
        Parallel.For(0, 4, seed =>
        {
            var random = new Random(seed);
            for (var step = 0; step < 20_000; step++)
            {
                var link = random.Next(Links);
                if (random.Next(2) == 0)
                {
                    engine.PutContent(KeyOf(link), "1"u8, parent: link == 0 ? default : KeyOf(link - 1));
                }
                else
                {
                    engine.Engine.Remove(engine.Tenant, KeyOf(link));
                }
            }
        });

        for (var link = 0; link < Links; link++)
        {
            engine.PutContent(KeyOf(link), "1"u8, parent: link == 0 ? default : KeyOf(link - 1));
        }

        Assert.Equal(0, engine.Tenant.Chains.Holes);
        Assert.All(Enumerable.Range(1, Links - 1), link => Assert.Equal(link < Links - 1, BlockOf(engine, KeyOf(link)).HasChildren));
        for (var link = Links - 1; link >= 0; link--)
        {
            Assert.False(BlockOf(engine, KeyOf(link)).HasChildren);
            engine.Engine.Remove(engine.Tenant, KeyOf(link));
        }

        Assert.Equal(0, engine.Tenant.Chains.Holes);
    }

    private static byte[] KeyOf(int link) => BitConverter.GetBytes(link);

    private static Block BlockOf(TestEngine engine, ReadOnlySpan<byte> key)
    {
        Assert.True(engine.Engine.TryRead(engine.Tenant, key, ReadIntent.Inspect, out var read));
        using (read)
        {
            return read.Block;
        }
    }
}
