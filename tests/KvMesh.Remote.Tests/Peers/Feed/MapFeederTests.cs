using KvMesh.Cluster.Map;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Peers.Feed;

public sealed class MapFeederTests
{
    [Fact]
    public async Task What_a_node_stores_and_removes_the_others_know()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1), new MapNode(2));
        var (a, b, c) = (mesh.Nodes[0], mesh.Nodes[1], mesh.Nodes[2]);
        a.Put(0);
        mesh.ShowAll();
        await Eventually.Holds(() => b.Knows(0, a) && c.Knows(0, a), "the block that was there before");

        a.Put(1);
        a.Engine.Put("plain"u8, new byte[4], BlockTraits.Opaque);
        await Eventually.Holds(() => b.Knows(1, a) && c.Knows(1, a), "the block that came");
        Assert.False(a.Knows(1, a), "A node is never told of itself.");
        Assert.True(b.Locator.Locate(Tenant.DefaultName, "plain"u8, TimeSpan.Zero).IsEmpty);

        a.Remove(1);
        await Eventually.Holds(() => !b.Knows(1, a) && !c.Knows(1, a), "the block that went");
        Assert.True(b.Knows(0, a));
    }

    [Fact]
    public async Task A_chain_is_matched_over_several_holders_up_to_the_first_gap()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1), new MapNode(2));
        var (a, b, c) = (mesh.Nodes[0], mesh.Nodes[1], mesh.Nodes[2]);
        mesh.ShowAll();
        for (var block = 0; block < 300; block++)
        {
            (block < 200 ? a : b).Put(block);
        }

        var holders = new BlockHolders[1000];
        await Eventually.Holds(() => Match(c, 10, holders) == 290, "all blocks of the chain");
        Assert.Equal(a.Id, c.Locator.NodeOf(holders[0][0])!.Id);
        Assert.Equal(b.Id, c.Locator.NodeOf(holders[289][0])!.Id);
        Assert.Equal(0, Match(b, 250, holders));

        for (var block = 199; block >= 150; block--)
        {
            a.Remove(block);
        }

        await Eventually.Holds(() => Match(c, 0, holders) == 150, "the gap");
    }

    /// <param name="isTold">Whether the map has heard that the block is gone, or says that its holder still has it.</param>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_hole_in_a_long_chain_is_promised_once_and_no_more_until_it_is_filled(bool isTold)
    {
        const int Count = 300;
        const int Hole = 150;
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        mesh.ShowAll();
        await Eventually.Holds(() => b.Locator.Complete.IsFull, "the list of what was there, behind which changes come once");
        for (var block = 0; block < Count; block++)
        {
            a.Put(block);
        }

        var holders = new BlockHolders[Count];
        await Eventually.Holds(() => Enumerable.Range(0, Count).All(block => b.Knows(block, a)), "every block of the chain on b");
        if (isTold)
        {
            a.Remove(Hole);
            await Eventually.Holds(() => !b.Map.Find(DigestOf(b, Hole)).Contains(b.Map.NumberOf(a.Id)), "the block that went");
        }

        // The probe leaps over it: a promise that a reader finds to be empty.
        Assert.Equal(Count, Match(b, 0, holders));
        Assert.Equal(0, b.Metrics.Holes);
        if (isTold)
        {
            Assert.True(b.Locator.Locate(Tenant.DefaultName, MapNode.KeyOf(Hole), TimeSpan.Zero).IsEmpty);
        }
        else
        {
            b.Locator.ReportFalseHit(Tenant.DefaultName, MapNode.KeyOf(Hole), b.Map.NumberOf(a.Id), MarkOf(b, Hole));
        }

        Assert.Equal(1, b.Metrics.Holes);
        Assert.Equal(Hole, Match(b, 0, holders));
        Assert.Equal(Hole, Match(b, 0, holders));
        Assert.Equal(Hole - 30, Match(b, 30, holders));
        Assert.Equal(Count - Hole - 1, Match(b, Hole + 1, holders));
        Assert.Equal(1, b.Metrics.Holes);

        if (isTold)
        {
            a.Put(Hole);
        }
        else
        {
            b.Map.Set(DigestOf(b, Hole), b.Map.NumberOf(a.Id), 1, 10);
        }

        await Eventually.Holds(() => Match(b, 0, holders) == Count, "the whole chain again");
        Assert.True(holders[Hole].Contains(b.Map.NumberOf(a.Id)));
    }

    private static int MarkOf(MapNode node, int block) => node.Locator.MarkOf(Tenant.DefaultName, MapNode.KeyOf(block));

    private static KeyDigest DigestOf(MapNode node, int block) =>
        KeyDigest.Compute(node.Locator.Role!.Secret, TenantNumbers.Of(Tenant.DefaultName), MapNode.KeyOf(block));

    [Fact]
    public async Task Eviction_is_followed_to_the_last_block()
    {
        await using var mesh = new MapMesh(new MapNode(0, arenaBytes: 4 << 20), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        mesh.ShowAll();
        const int Blocks = 400;
        for (var block = 0; block < Blocks; block++)
        {
            Assert.Equal(SealStatus.Sealed, a.Engine.PutContent(MapNode.KeyOf(block), new byte[64 * 1024]));
        }

        Assert.Contains(Enumerable.Range(0, Blocks), block => !a.Has(block));
        await Eventually.Holds(
            () => Enumerable.Range(0, Blocks).All(block => a.Has(block) == b.Knows(block, a)), "a map that agrees with what the node has");
    }

    [Fact]
    public async Task A_node_that_leaves_the_view_is_forgotten_at_once_and_its_next_run_listed_anew()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        mesh.ShowAll();
        a.Put(0);
        await Eventually.Holds(() => b.Knows(0, a), "the block");

        mesh.Show([b.Record]);
        await Eventually.Holds(() => b.Map.NumberOf(a.Id) == 0, "the end of the node's run");
        Assert.True(b.Locator.Locate(Tenant.DefaultName, MapNode.KeyOf(0), TimeSpan.Zero).IsEmpty);
        await Eventually.Holds(() => b.Map.CountByNode().All(pair => pair.Key != a.Id), "the sweep");

        mesh.Show([a.Record with { Incarnation = 2 }, b.Record]);
        await Eventually.Holds(() => b.Knows(0, a), "the block of the next run");
    }

    [Fact]
    public async Task A_killed_node_counts_until_the_view_says_that_it_is_gone()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1), new MapNode(2));
        var (a, b, c) = (mesh.Nodes[0], mesh.Nodes[1], mesh.Nodes[2]);
        mesh.ShowAll();
        a.Put(0);
        await Eventually.Holds(() => b.Knows(0, a), "the block");

        await a.KillAsync();
        Assert.True(b.Knows(0, a));
        mesh.Show([b.Record, c.Record]);
        await Eventually.Holds(() => b.Map.NumberOf(a.Id) == 0 && c.Map.NumberOf(a.Id) == 0, "the end of the killed node");
        c.Put(1);
        await Eventually.Holds(() => b.Knows(1, c), "news from the other node, after the loss of the first");
    }

    [Fact]
    public async Task Changes_that_were_lost_are_healed_by_a_list()
    {
        var clock = new PausingClock();
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1, clock));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        mesh.ShowAll();
        a.Put(0);
        await Eventually.Holds(() => b.Knows(0, a), "the block");

        clock.IsPaused = true;
        a.Remove(0);
        for (var round = 0; round < 70_000; round++)
        {
            a.Put(7);
            a.Remove(7);
        }

        a.Put(1);
        clock.IsPaused = false;
        await Eventually.Holds(() => b.Knows(1, a) && !b.Knows(0, a) && !b.Knows(7, a), "the map after the gap");
        Assert.InRange(b.Metrics.Gaps, 1, 100);
        Assert.InRange(b.Metrics.Snapshots, 2, 1000);
    }

    [Fact]
    public async Task Blocks_that_come_and_go_while_they_are_listed_end_as_they_are()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        const int Blocks = 4_000;
        var random = new Random(3);
        var changing = Eventually.Run(() =>
        {
            for (var step = 0; step < 30_000; step++)
            {
                var block = random.Next(Blocks);
                if (!a.Remove(block))
                {
                    a.Engine.PutContent(MapNode.KeyOf(block), new byte[1]);
                }
            }
        });
        mesh.ShowAll();
        await changing.Within("the changes");
        await Eventually.Holds(
            () => Enumerable.Range(0, Blocks).All(block => a.Has(block) == b.Knows(block, a)), "a map that agrees with what the node has");
    }

    [Fact]
    public async Task A_false_hit_corrects_the_map_and_counts()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        mesh.ShowAll();
        await Eventually.Holds(() => b.Locator.Complete.IsFull, "the list of what was there, behind which changes come once");
        a.Put(0);
        await Eventually.Holds(() => b.Knows(0, a), "the block");
        b.Locator.ReportFalseHit(Tenant.DefaultName, MapNode.KeyOf(0), b.Map.NumberOf(a.Id), MarkOf(b, 0));
        Assert.False(b.Knows(0, a));
        Assert.Equal(1, b.Metrics.FalseHits);
    }

    [Fact]
    public async Task A_false_hit_takes_nothing_away_that_its_node_said_since()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        mesh.ShowAll();
        await Eventually.Holds(() => b.Locator.Complete.IsFull, "the list of what was there, behind which changes come once");
        a.Put(0);
        await Eventually.Holds(() => b.Knows(0, a), "the block");

        // A reader has asked, its answer is on the way, and the block comes back meanwhile.
        var mark = MarkOf(b, 0);
        a.Remove(0);
        await Eventually.Holds(() => !b.Knows(0, a), "the block that went");
        a.Put(0);
        await Eventually.Holds(() => b.Knows(0, a), "the block that came back");
        b.Locator.ReportFalseHit(Tenant.DefaultName, MapNode.KeyOf(0), b.Map.NumberOf(a.Id), mark);

        Assert.True(b.Knows(0, a));
    }

    [Fact]
    public async Task A_map_that_lost_a_block_hears_of_it_when_its_node_says_so_again()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        mesh.ShowAll();
        await Eventually.Holds(() => b.Locator.Complete.IsFull, "the list of what was there, behind which changes come once");
        a.Put(0);
        await Eventually.Holds(() => b.Knows(0, a), "the block");
        Assert.True(b.Map.Remove(DigestOf(b, 0), b.Map.NumberOf(a.Id)));

        a.Correct(0);

        await Eventually.Holds(() => b.Knows(0, a), "the block again");
    }

    [Fact]
    public async Task A_cluster_that_was_made_anew_gets_a_map_under_its_new_secret()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        mesh.ShowAll();
        a.Put(0);
        await Eventually.Holds(() => b.Knows(0, a), "the block");
        var old = b.Locator.Role!.KeyId;

        mesh.Identity = mesh.Identity with { Secret = new DigestSecret(7, 8) };
        mesh.ShowAll();
        await Eventually.Holds(() => b.Locator.Role is { } role && role.KeyId != old && b.Knows(0, a), "the block under the new secret");
        await Eventually.Holds(() => b.Map.Locations == 1, "a map without what was said under the old one");
    }

    [Fact]
    public async Task Of_twenty_nodes_each_keeps_its_slots_and_asks_the_others_for_the_rest()
    {
        await using var mesh = new MapMesh([.. Enumerable.Range(0, 20).Select(index => new MapNode(index, arenaBytes: 4 << 20))]);
        const int Blocks = 200;
        for (var block = 0; block < Blocks; block++)
        {
            mesh.Nodes[3].Put(block);
        }

        mesh.ShowAll();
        var asking = mesh.Nodes[11];
        var holders = new BlockHolders[1000];
        await Eventually.Holds(() => Match(asking, 0, holders) == Blocks, "the chain of another node");
        Assert.All(holders.Take(Blocks), each => Assert.Equal(mesh.Nodes[3].Id, asking.Locator.NodeOf(each[0])!.Id));
        await Eventually.Holds(() => asking.Map.Locations > 0, "blocks of the slots that the asking node keeps itself");
        Assert.InRange(asking.Map.Locations, 1, Blocks - 1);
        await Eventually.Holds(
            () => mesh.Nodes.Sum(node => node.Map.Locations) == SlotAssignment.DirectoriesPerSlot * Blocks, "three directories for each block");

        // Two directories of every slot may fail at once.
        await mesh.Nodes[0].KillAsync();
        await mesh.Nodes[7].KillAsync();
        await Eventually.Holds(() => Match(asking, 0, holders) == Blocks, "the chain without two of the directories");
    }

    private static int Match(MapNode node, int from, BlockHolders[] holders) => node.Locator.MatchPrefix(
        Tenant.DefaultName, MapNode.Scope.Bytes.Span, MapNode.Chain(1000), from, holders, TimeSpan.FromSeconds(20));
}
