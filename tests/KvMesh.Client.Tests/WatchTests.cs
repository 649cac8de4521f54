using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>Watchers see what happens to the blocks of their own tenant, in order.</summary>
public sealed class WatchTests
{
    private static readonly string[] AllRights = ["read", "write", "remove", "admin"];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sees_its_tenants_events_in_order_and_no_others(bool blocking)
    {
        await using var node = new NodeFixture(tokens: [("red", "r-token", AllRights), ("blue", "b-token", AllRights)]);
        var red = await node.ConnectAsync(ClientTransport.Tcp, blocking, options => options with { Token = "r-token" });
        var blue = await node.ConnectAsync(ClientTransport.Tcp, blocking, options => options with { Token = "b-token" });
        using var stop = new CancellationTokenSource(Eventually.Patience);
        var watch = Task.Run(async () =>
        {
            var changes = new List<BlockChange>();
            await foreach (var change in red.WatchAsync(0, stop.Token))
            {
                changes.Add(change);
                if (changes.Count == 4)
                {
                    break;
                }
            }

            return changes;
        });

        for (var index = 0; index < 3; index++)
        {
            await blue.PutAsync(NodeFixture.Scope, TestBytes.Hash(2, index), default, new byte[100], default);
            await red.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, index), default, new byte[100 + index], default);
        }

        await red.RemoveAsync(NodeFixture.Scope, TestBytes.Hash(1, 1), default);
        var seen = await watch.Within("the end of the watch");
        Assert.Equal([BlockChangeKind.Stored, BlockChangeKind.Stored, BlockChangeKind.Stored, BlockChangeKind.Removed], seen.Select(change => change.Kind));
        Assert.Equal(seen.Select(change => change.Sequence).Order(), seen.Select(change => change.Sequence));
        Assert.Equal([100, 101, 102], seen.Take(3).Select(change => change.PayloadBytes));
        Assert.Equal(NodeFixture.Scope.KeyOf(TestBytes.Hash(1, 1)), seen[3].Key.ToArray());
    }

    [Fact]
    public async Task Is_told_of_a_gap_when_it_asks_after_events_that_never_were()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        using var stop = new CancellationTokenSource(Eventually.Patience);
        await foreach (var change in client.WatchAsync(1_000_000, stop.Token))
        {
            Assert.Equal(BlockChangeKind.Gap, change.Kind);
            break;
        }
    }

    [Fact]
    public async Task Ends_when_the_node_goes_away()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, new byte[100], default);
        var seen = new TaskCompletionSource();
        var watch = Task.Run(async () =>
        {
            await foreach (var _ in client.WatchAsync(0, default))
            {
                seen.TrySetResult();
            }
        });
        await seen.Task.Within("an event");
        await node.CutOffAsync();
        await watch.Within("the end of the watch");
        node.Restart();
    }

    [Fact]
    public async Task Ends_at_once_when_the_node_has_watchers_enough()
    {
        await using var node = new NodeFixture(change: options => options with { MaxWatchers = 0 });
        var client = await node.ConnectAsync();
        await foreach (var change in client.WatchAsync(0, default))
        {
            Assert.Fail($"{change} came from a node that takes no watchers");
        }

        Assert.NotNull(await client.PingAsync(default));
    }
}
