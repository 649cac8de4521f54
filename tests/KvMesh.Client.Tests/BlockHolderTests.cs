using System.Collections.Concurrent;
using KvMesh.Client.Holders;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>A client that holds blocks in its own memory, and another one that reads them through the node.</summary>
public sealed class BlockHolderTests
{
    private const int BlockBytes = 300_000;

    private readonly byte[] _payload = TestBytes.Payload(5, BlockBytes);
    private readonly byte[] _hash = TestBytes.Hash(1, 1);
    private readonly ConcurrentQueue<HeldBlock> _forgotten = new();

    [Theory]
    [InlineData(ClientTransport.Tcp)]
    [InlineData(ClientTransport.SharedMemory)]
    public async Task A_reader_gets_a_block_that_only_a_worker_has(ClientTransport transport)
    {
        await using var node = Node();
        var worker = await node.ConnectAsync(transport);
        var reader = await node.ConnectAsync(transport);
        await using var holder = worker.HoldBlocks(Giving(_payload));
        Assert.Equal(AnnounceStatus.Announced, (await holder.AnnounceAsync(NodeFixture.Scope, _hash, default, BlockBytes, default)).Status);

        var destination = new byte[BlockBytes];
        var present = new bool[1];
        Assert.Equal(1, await reader.ExistsAsync(NodeFixture.Scope, _hash, present, default));
        Assert.Equal(new GetResult(GetStatus.Hit, BlockBytes), await reader.GetAsync(NodeFixture.Scope, _hash, destination, default).AsTask().Within("the block"));

        Assert.Equal(_payload, destination);
        await Eventually.Holds(() => holder.HandedOver == 1, "the count of hand-overs");
        Assert.Equal(1, Assert.Single(node.Engine.Engine.Snapshot().FarTiers).Hits);
    }

    [Fact]
    public async Task A_worker_that_is_gone_is_a_miss()
    {
        await using var node = Node();
        var worker = await node.ConnectAsync(change: options => options with { ClientName = "worker" });
        var reader = await node.ConnectAsync();
        var asked = new TaskCompletionSource();
        await using var holder = worker.HoldBlocks(new BlockHolderOptions
        {
            Fill = async (_, _, lost) =>
            {
                asked.TrySetResult();
                await Task.Delay(Timeout.Infinite, lost);
                return false;
            },
        });
        await holder.AnnounceAsync(NodeFixture.Scope, _hash, default, BlockBytes, default);
        var reading = reader.GetAsync(NodeFixture.Scope, _hash, new byte[BlockBytes], default).AsTask();
        await asked.Task.Within("the ask");

        foreach (var connection in node.Host.Connections().Where(connection => connection.ClientName == "worker"))
        {
            node.Host.CloseConnection(connection.Id);
        }

        Assert.Equal(GetStatus.Miss, (await reading.Within("the miss")).Status);
    }

    [Fact]
    public async Task A_worker_that_has_the_block_no_longer_is_a_miss_and_asked_once()
    {
        await using var node = Node();
        var worker = await node.ConnectAsync();
        var reader = await node.ConnectAsync();
        var failure = new InvalidOperationException("no such page");
        await using var holder = worker.HoldBlocks(new BlockHolderOptions { Fill = (_, _, _) => throw failure });
        await holder.AnnounceAsync(NodeFixture.Scope, _hash, default, BlockBytes, default);

        for (var read = 0; read < 2; read++)
        {
            Assert.Equal(GetStatus.Miss, (await reader.GetAsync(NodeFixture.Scope, _hash, new byte[BlockBytes], default).AsTask().Within("the miss")).Status);
        }

        Assert.Same(failure, holder.LastFailure);
        Assert.Equal((0, 0), (holder.Blocks, node.Engine.Engine.HeldBlocks));
    }

    [Fact]
    public async Task A_node_that_was_lost_is_told_again()
    {
        await using var node = Node();
        var worker = await node.ConnectAsync();
        await using var holder = worker.HoldBlocks(Giving(_payload));
        await holder.AnnounceAsync(NodeFixture.Scope, _hash, default, BlockBytes, default);

        await node.CutOffAsync();
        await Eventually.Holds(() => node.Engine.Engine.HeldBlocks == 0, "the end of the announcements");
        node.Restart();

        await Eventually.Holds(() => node.Engine.Engine.HeldBlocks == 1, "the announcement");
        var reader = await node.ConnectAsync();
        Assert.Equal(GetStatus.Hit, (await reader.GetAsync(NodeFixture.Scope, _hash, new byte[BlockBytes], default).AsTask().Within("the block")).Status);
        Assert.Empty(_forgotten);
    }

    [Fact]
    public async Task What_is_removed_is_forgotten_by_the_worker()
    {
        await using var node = Node();
        var worker = await node.ConnectAsync();
        var other = await node.ConnectAsync();
        await using var holder = worker.HoldBlocks(Giving(_payload));
        await holder.AnnounceAsync(NodeFixture.Scope, Hashes(3), default, BlockBytes, default);

        Assert.True(await other.RemoveAsync(NodeFixture.Scope, _hash, default));
        await Eventually.Holds(() => holder.Blocks == 2, "one block to be forgotten");
        Assert.Equal(GetStatus.Miss, (await other.GetAsync(NodeFixture.Scope, _hash, new byte[BlockBytes], default)).Status);

        node.Engine.Engine.Purge(node.Engine.Tenant, NodeFixture.Scope.Model, null);
        await Eventually.Holds(() => _forgotten.Count == 3, "the rest to be forgotten");
        Assert.Equal(0, holder.Blocks);
        Assert.Equal(0, node.Engine.Engine.HeldBlocks);
    }

    [Fact]
    public async Task What_was_removed_while_the_node_was_lost_is_not_announced_again()
    {
        await using var node = Node();
        var worker = await node.ConnectAsync();
        await using var holder = worker.HoldBlocks(Giving(_payload));
        await holder.AnnounceAsync(NodeFixture.Scope, Hashes(3), default, BlockBytes, default);
        await node.CutOffAsync();
        await Eventually.Holds(() => node.Engine.Engine.HeldBlocks == 0, "the end of the announcements");

        node.Engine.Engine.Purge(node.Engine.Tenant, NodeFixture.Scope.Model, null);
        node.Restart();

        await Eventually.Holds(() => holder.Blocks == 0, "everything to be forgotten");
        Assert.Equal(0, node.Engine.Engine.HeldBlocks);
        await Eventually.Holds(
            async () => (await holder.AnnounceAsync(NodeFixture.Scope, _hash, default, BlockBytes, default)).Status == AnnounceStatus.Announced, "what is new to be announced");
        Assert.Equal(1, node.Engine.Engine.HeldBlocks);
    }

    [Fact]
    public async Task More_than_may_be_announced_is_refused_with_the_limit()
    {
        await using var node = Node();
        var worker = await node.ConnectAsync();
        await using var holder = worker.HoldBlocks(Giving(_payload));

        var tooMany = await holder.AnnounceAsync(NodeFixture.Scope, Hashes(9), default, BlockBytes, default);
        var some = await holder.AnnounceAsync(NodeFixture.Scope, Hashes(8), default, BlockBytes, default);

        Assert.Equal(AnnounceStatus.Refused, tooMany.Status);
        Assert.Contains("8 are possible", tooMany.Refusal, StringComparison.Ordinal);
        await Eventually.Holds(() => node.Engine.Engine.HeldBlocks == 8, "the announcement");
        Assert.NotEqual(AnnounceStatus.Refused, some.Status);
        await holder.WithdrawAsync(NodeFixture.Scope, Hashes(3), default);
        Assert.Equal((5, 5), (holder.Blocks, node.Engine.Engine.HeldBlocks));
    }

    private static NodeFixture Node() => new(options =>
    {
        options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Eventually.Patience;
        options.FarTiers.MaxBlocksPerHolder = 8;
    });

    private static byte[] Hashes(int count) => [.. Enumerable.Range(1, count).SelectMany(index => TestBytes.Hash(1, index))];

    private BlockHolderOptions Giving(byte[] payload) => new()
    {
        Fill = (_, destination, _) =>
        {
            payload.CopyTo(destination);
            return ValueTask.FromResult(true);
        },
        Forgotten = _forgotten.Enqueue,
    };
}
