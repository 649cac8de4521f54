using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>Reading in place and staged writing, also when the other side does not keep to the rules.</summary>
public sealed class SharedMemoryTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task A_reader_past_its_lease_learns_that_its_bytes_may_be_others()
    {
        // Leases run out at once, so that whatever is written next may take the extent.
        await using var node = new NodeFixture(
            options =>
            {
                options.ArenaBytes = 16 * MiB;
                options.MaxResidenceLease = TimeSpan.FromMilliseconds(1);
            },
            options => options with { MaxResidenceLease = TimeSpan.FromMilliseconds(1) });
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(0, MiB), default);
        using var block = await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default);
        Assert.True(block!.IsInPlace);

        await EvictAsync(node, client);
        Assert.False(block.Release());
    }

    [Fact]
    public async Task A_lease_keeps_its_bytes_while_others_are_evicted()
    {
        await using var node = NodeWithLongLeases();
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        var payload = TestBytes.Payload(0, MiB);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, payload, default);
        using var block = await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default);
        for (var index = 1; index < 60; index++)
        {
            await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, index), default, TestBytes.Payload(index, MiB), default);
        }

        Assert.True(block!.Span.SequenceEqual(payload));
        Assert.True(block.Release());
    }

    [Fact]
    public async Task A_closed_connection_gives_its_leases_back()
    {
        await using var node = NodeWithLongLeases();
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(0, MiB), default);
        var block = await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default);
        await client.DisposeAsync();

        // The mapping is held for as long as the block is, whatever became of the connection.
        Assert.True(block!.Span.SequenceEqual(TestBytes.Payload(0, MiB)));
        await EvictAsync(node, await node.ConnectAsync(ClientTransport.Tcp));
        Assert.False(block.Release());
    }

    [Fact]
    public async Task Reads_over_the_socket_when_the_lease_budget_is_spent()
    {
        await using var node = new NodeFixture(options => options.ConnectionLeaseShare = 0);
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        var payload = TestBytes.Payload(0, MiB);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, payload, default);
        var destination = new byte[MiB];
        Assert.True((await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), destination, default)).IsHit);
        Assert.Equal(payload, destination);
        using var block = await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default);
        Assert.True(block!.Span.SequenceEqual(payload));
    }

    [Fact]
    public async Task Writes_over_the_socket_what_the_staging_file_cannot_hold()
    {
        await using var node = new NodeFixture(options => options.ArenaBytes = 64 * MiB);
        var client = await node.ConnectAsync(ClientTransport.SharedMemory, change: options => options with { StagingBytes = MiB });
        var payload = TestBytes.Payload(0, 3 * MiB);
        Assert.Equal(PutStatus.Stored, await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, payload, default));
        Assert.Equal(payload, node.Engine.Get(NodeFixture.Scope.KeyOf(TestBytes.Hash(1, 0))));
    }

    [Fact]
    public async Task Works_without_a_staging_file()
    {
        await using var node = new NodeFixture(change: options => options with { TotalStagingBytes = 0 });
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        Assert.Equal(ClientTransport.SharedMemory, client.Transport);
        Assert.Equal(PutStatus.Stored, await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(0, MiB), default));
    }

    [Fact]
    public async Task Two_writers_of_one_key_leave_the_bytes_of_one_of_them()
    {
        await using var node = new NodeFixture(options => options.ArenaBytes = 64 * MiB);
        var clients = new[] { await node.ConnectAsync(ClientTransport.SharedMemory), await node.ConnectAsync(ClientTransport.Tcp) };
        for (var round = 0; round < 20; round++)
        {
            var hash = TestBytes.Hash(7, round);
            var payloads = clients.Select((_, writer) => TestBytes.Payload((round * 2) + writer, 200_000)).ToArray();
            var puts = await Task.WhenAll(clients.Select((client, writer) => Task.Run(async () => await client.PutAsync(NodeFixture.Scope, hash, default, payloads[writer], default))));
            Assert.Single(puts, PutStatus.Stored);
            Assert.Single(puts, PutStatus.AlreadyPresent);

            var destination = new byte[200_000];
            Assert.True((await clients[0].GetAsync(NodeFixture.Scope, hash, destination, default)).IsHit);
            Assert.Equal(payloads[Array.IndexOf(puts, PutStatus.Stored)], destination);
        }
    }

    [Theory]
    [InlineData(ClientTransport.SharedMemory)]
    [InlineData(ClientTransport.Tcp)]
    public async Task Bytes_that_went_bad_in_the_arena_are_a_miss_and_are_reported(ClientTransport transport)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport);
        var key = NodeFixture.Scope.KeyOf(TestBytes.Hash(1, 0));
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(0, MiB), default);
        Corrupt(node, key);

        Assert.Equal(GetStatus.Miss, (await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), new byte[MiB], default)).Status);
        await client.PingAsync(default);
        await Eventually.Holds(() => node.Engine.Engine.Snapshot().Integrity.QuarantinedBlocks > 0, "the bad block in quarantine");

        Assert.Null(await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default));
    }

    /// <summary>A small node whose leases outlast every test: they end by release or with their connection.</summary>
    private static NodeFixture NodeWithLongLeases()
    {
        var lease = TimeSpan.FromHours(1);
        return new NodeFixture(
            options =>
            {
                options.ArenaBytes = 16 * MiB;
                options.MaxResidenceLease = lease;
            },
            options => options with { MaxResidenceLease = lease });
    }

    /// <summary>Writes other blocks until the first one is gone.</summary>
    private static async Task EvictAsync(NodeFixture node, KvMeshClient client)
    {
        var index = 0;
        await Eventually.Holds(
            async () =>
            {
                await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(2, ++index), default, TestBytes.Payload(index, MiB), default);
                return !node.Engine.Engine.TryInspect(node.Engine.Tenant, NodeFixture.Scope.KeyOf(TestBytes.Hash(1, 0)), out _);
            },
            "the eviction of the block");
    }

    /// <summary>Changes one byte of a block behind the engine's back, as failing memory does.</summary>
    private static void Corrupt(NodeFixture node, byte[] key)
    {
        Assert.True(node.Engine.Engine.TryRead(node.Engine.Tenant, key, ReadIntent.Inspect, out var read));
        using (read)
        {
            using var arena = new FileStream(node.Engine.Tenant.ArenaPath, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            var header = new byte[40];
            arena.ReadExactly(header);
            arena.Position = BitConverter.ToInt64(header, 32) + read.PayloadOffset + 123_456;
            var value = arena.ReadByte();
            arena.Position--;
            arena.WriteByte((byte)(value ^ 1));
        }
    }
}
