using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>Reading many blocks where they are.</summary>
public sealed class LeaseManyTests
{
    private const int BlockBytes = 100_000;

    public static TheoryData<ClientTransport, bool> All => Transports.All;

    [Theory]
    [MemberData(nameof(All))]
    public async Task Opens_blocks_in_order_with_misses_among_them(ClientTransport transport, bool blocking)
    {
        const int Count = 150;
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        await PutAsync(client, Enumerable.Range(0, Count).Where(index => index % 7 != 3));

        var index = 0;
        await foreach (var block in client.LeaseManyAsync(NodeFixture.Scope, Hashes(Count), default))
        {
            Assert.Equal(index % 7 == 3, block is null);
            Assert.True(block is null || block.Span.SequenceEqual(TestBytes.Payload(index, BlockBytes)), $"block {index} differs");
            Assert.Equal(transport == ClientTransport.SharedMemory, block?.IsInPlace ?? transport == ClientTransport.SharedMemory);
            Assert.True(block?.Release() ?? true);
            index++;
        }

        Assert.Equal(Count, index);
    }

    [Fact]
    public async Task Stays_in_place_with_a_budget_for_a_few_leases()
    {
        // Three blocks fit into the budget, and eight and more are asked for at once.
        await using var node = new NodeFixture(options =>
        {
            options.ArenaBytes = 64 << 20;
            options.ConnectionLeaseShare = 3.5 * BlockBytes / options.ArenaBytes;
        });
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        await PutAsync(client, Enumerable.Range(0, 40));
        for (var round = 0; round < 3; round++)
        {
            var opened = 0;
            await foreach (var block in client.LeaseManyAsync(NodeFixture.Scope, Hashes(40), default))
            {
                Assert.True(block!.IsInPlace, $"block {opened} came over the socket: the leases before it were not given back");
                opened++;
            }

            Assert.Equal(40, opened);
        }
    }

    [Fact]
    public async Task Gives_back_what_was_leased_ahead_when_the_caller_leaves()
    {
        await using var node = new NodeFixture(options =>
        {
            options.ArenaBytes = 64 << 20;
            options.ConnectionLeaseShare = 8.5 * BlockBytes / options.ArenaBytes;
        });
        var client = await node.ConnectAsync(ClientTransport.SharedMemory, change: options => options with { Connections = 1 });
        await PutAsync(client, Enumerable.Range(0, 20));
        for (var round = 0; round < 20; round++)
        {
            await foreach (var block in client.LeaseManyAsync(NodeFixture.Scope, Hashes(20), default))
            {
                Assert.True(block!.IsInPlace, $"round {round}: leases of earlier rounds were not given back");
                break;
            }
        }
    }

    [Fact]
    public async Task Is_all_misses_while_the_node_is_away()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        await PutAsync(client, Enumerable.Range(0, 3));
        await node.CutOffAsync();
        var misses = 0;
        await foreach (var block in client.LeaseManyAsync(NodeFixture.Scope, Hashes(3), default))
        {
            Assert.Null(block);
            misses++;
        }

        Assert.Equal(3, misses);
        node.Restart();
    }

    private static byte[] Hashes(int count) => [.. Enumerable.Range(0, count).SelectMany(index => TestBytes.Hash(1, index))];

    private static async Task PutAsync(KvMeshClient client, IEnumerable<int> indexes)
    {
        foreach (var index in indexes)
        {
            Assert.Equal(PutStatus.Stored, await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, index), default, TestBytes.Payload(index, BlockBytes), default));
        }
    }
}
