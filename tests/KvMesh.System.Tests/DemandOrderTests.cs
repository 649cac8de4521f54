using KvMesh.Client;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>
/// What clients ask for moves blocks between real nodes: copies where requests enter, a move where they have gone, help for a busy node, parts of
/// what one node would hand out too slowly.
/// </summary>
[Trait("Category", "System")]
public sealed class DemandOrderTests
{
    [Fact]
    public async Task A_hot_prefix_comes_to_a_new_empty_node_a_step_at_a_time()
    {
        const int Count = 40;
        await using var mesh = await PlacementMesh.StartAsync();
        var a = await mesh.JoinAsync("a");
        var blocks = new Blocks(chain: 11, Count);
        await using var atA = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint);
        Assert.Equal(Count, await blocks.PutAsync(atA));
        await MatchAsync(atA, blocks, times: 20);

        var b = await mesh.JoinAsync("b");
        await using var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        var orders = await PlacementMesh.AskUntilAsync(
            b,
            async () =>
            {
                await MatchAsync(atA, blocks, times: 2);
                await MatchAsync(atB, blocks, times: 1);
            },
            list => HaveMoved(To(list, "b"), Count),
            "the whole prefix brought to b");

        // As much at a time as the share of the network allows, one part after the other, and no block twice.
        var done = To(orders, "b").ToArray();
        Assert.True(done.Length >= Count * Blocks.PayloadBytes / PlacementMesh.BytesPerStep, $"{done.Length} orders");
        Assert.All(done, order => Assert.InRange(order.MovedBytes, 0, PlacementMesh.BytesPerStep));
        Assert.Equal(Count, done.SelectMany(order => Enumerable.Range(order.FirstBlock, order.Blocks)).Distinct().Count());
        Assert.Contains(done, order => order is { Kind: "replicate" } && order.Reason.Contains("requests/s for it enter at b", StringComparison.Ordinal));
        Assert.All(done, order => Assert.Equal(["a"], order.Sources));

        await a.Process.KillAsync();
        Assert.Equal(Count, await blocks.GetAsync(atB));
    }

    [Fact]
    public async Task Blocks_follow_requests_that_no_longer_enter_where_they_are()
    {
        const int Count = 8;
        await using var mesh = await PlacementMesh.StartAsync();
        var a = await mesh.JoinAsync("a");
        var b = await mesh.JoinAsync("b");
        var blocks = new Blocks(chain: 12, Count);
        await using (var atA = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint))
        {
            Assert.Equal(Count, await blocks.PutAsync(atA));
        }

        await using var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        var orders = await PlacementMesh.AskUntilAsync(
            a, () => MatchAsync(atB, blocks, times: 1), list => HaveMoved(To(list, "b"), Count), "the prefix moved to b");

        var moved = To(orders, "b").ToArray();
        Assert.All(moved, order => Assert.Equal("migrate", order.Kind));
        Assert.All(moved, order => Assert.Contains("enter at b, and hardly any where it is", order.Reason, StringComparison.Ordinal));

        await a.Process.KillAsync();
        Assert.Equal(Count, await blocks.GetAsync(atB));
    }

    [Fact]
    public async Task A_node_that_hands_out_too_much_shares_what_is_asked_of_it_with_an_idle_one()
    {
        const int Count = 8;
        await using var mesh = await PlacementMesh.StartAsync();

        // So little keeps a node busy that clients on a slow machine ask for it too.
        (string, string)[] slow = [("Placement__LinkBytesPerSecond", "2MiB"), ("Placement__BusyUtilisation", "0.1")];
        var a = await mesh.JoinAsync("a", slow);
        var b = await mesh.JoinAsync("b", slow);
        var c = await mesh.JoinAsync("c", slow);
        var hot = new Blocks(chain: 13, Count);
        await using var atA = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint);
        await using var atC = await Blocks.ConnectAsync(c.Addresses.NativeEndpoint);
        Assert.Equal(Count, await hot.PutAsync(atA));

        // Clients of c read, from a, one chain after the other that nobody else asks for; those of a ask for the hot one alone.
        var chain = 1000;
        var orders = await PlacementMesh.AskUntilAsync(
            a,
            async () =>
            {
                var load = new Blocks(++chain, count: 24);
                await load.PutAsync(atA);
                await MatchAsync(atA, hot, times: 4);
                await load.GetAsync(atC);
            },
            list => Relief(list).Any(shared => HaveMoved(shared, Count)),
            "the hot prefix shared with another node");

        var relief = Relief(orders).Single(shared => HaveMoved(shared, Count));
        var target = Assert.Single(relief.Select(order => order.Target).Distinct());
        Assert.All(relief, order => Assert.Contains("Its holders are busy", order.Reason, StringComparison.Ordinal));

        await a.Process.KillAsync();
        await using var atTarget = await Blocks.ConnectAsync((target == "b" ? b : c).Addresses.NativeEndpoint);
        Assert.Equal(Count, await hot.GetAsync(atTarget));
    }

    [Fact]
    public async Task A_long_sequence_is_laid_on_several_nodes_and_pulled_from_all_of_them()
    {
        const int Count = 48;
        const int Part = Count / 3;
        await using var mesh = await PlacementMesh.StartAsync();
        (string, string)[] spread = [("Placement__SlowPull", "250ms"), ("Placement__MaxSpread", "3"), ("Placement__MaxReplicas", "1")];
        var a = await mesh.JoinAsync("a", spread);
        var b = await mesh.JoinAsync("b", spread);
        var c = await mesh.JoinAsync("c", spread);
        var blocks = new Blocks(chain: 14, Count);
        await using var atA = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint);
        Assert.Equal(Count, await blocks.PutAsync(atA));

        var orders = await PlacementMesh.AskUntilAsync(
            a, () => MatchAsync(atA, blocks, times: 1), list => HaveMoved(Spread(list), Count - Part), "the second and third part on other nodes");

        var done = Spread(orders).ToArray();
        Assert.Equal(["b", "c"], done.Select(order => order.Target).Distinct().Order());
        Assert.All(done, order => Assert.Contains("3 nodes share it", order.Reason, StringComparison.Ordinal));

        // Each part is whole on a node of its own, and what both have is all but the first part.
        foreach (var first in new[] { Part, 2 * Part })
        {
            Assert.Single(done.Where(order => order.FirstBlock >= first && order.FirstBlock < first + Part).Select(order => order.Target).Distinct());
        }

        await a.Process.KillAsync();
        await using var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        await Eventually.Holds(async () => await blocks.GetAsync(atB) == Count - Part, "both parts read on b, one of them from c");
        await Eventually.Holds(async () => await mesh.ReadAsync(c, "kvmesh_peer_served_total") >= Part, "blocks of c that went to b");
    }

    /// <summary>
    /// Whether orders have moved so many blocks, each once, and none is open. By bytes: on a busy machine the map may hear of a block later than the order for it
    /// is forgotten, and what is ordered again is there already.
    /// </summary>
    private static bool HaveMoved(IEnumerable<OrderStatus> orders, int blocks) =>
        orders.Sum(order => order.MovedBytes) == (long)blocks * Blocks.PayloadBytes && orders.All(order => order.State is "done" or "failed");

    private static IEnumerable<OrderStatus> To(IEnumerable<OrderStatus> orders, string target) =>
        orders.Where(order => order is { Kind: "replicate" or "migrate" } && order.Target == target);

    /// <summary>By prefix: what the load is made of may be shared too.</summary>
    private static IEnumerable<IGrouping<string, OrderStatus>> Relief(IEnumerable<OrderStatus> orders) => orders
        .Where(order => order is { Kind: "replicate" } && order.Reason.StartsWith("Its holders", StringComparison.Ordinal))
        .GroupBy(order => order.Prefix);

    private static IEnumerable<OrderStatus> Spread(IEnumerable<OrderStatus> orders) => orders.Where(order => order is { Kind: "spread" });

    /// <summary>Requests as a serving engine begins them: how much of the prompt is there? Nothing is read, so nothing moves but by orders.</summary>
    private static async Task MatchAsync(KvMeshClient client, Blocks blocks, int times)
    {
        for (var time = 0; time < times; time++)
        {
            await client.MatchPrefixAsync(Blocks.Scope, blocks.Joined, TimeSpan.Zero, CancellationToken.None);
        }
    }
}
