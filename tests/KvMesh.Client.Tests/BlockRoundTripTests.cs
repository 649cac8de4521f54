using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>Blocks go in and come out the same on every transport.</summary>
public sealed class BlockRoundTripTests
{
    private const int MiB = 1 << 20;

    public static TheoryData<ClientTransport, bool> All => Transports.All;

    [Theory]
    [MemberData(nameof(All))]
    public async Task Gets_the_bytes_that_were_put(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        Assert.Equal(transport, client.Transport);
        Assert.Equal("default", client.Tenant);

        foreach (var (index, bytes) in new[] { 0, 1, 4096, 65_535, 65_536, 65_537, 300_001, 4 * MiB }.Index())
        {
            var payload = TestBytes.Payload(index, bytes);
            var hash = TestBytes.Hash(1, index);
            Assert.Equal(GetStatus.Miss, (await client.GetAsync(NodeFixture.Scope, hash, new byte[MiB], default)).Status);
            Assert.Equal(PutStatus.Stored, await client.PutAsync(NodeFixture.Scope, hash, default, payload, default));
            Assert.Equal(PutStatus.AlreadyPresent, await client.PutAsync(NodeFixture.Scope, hash, default, payload, default));

            var destination = new byte[bytes + 100];
            Assert.Equal(new GetResult(GetStatus.Hit, bytes), await client.GetAsync(NodeFixture.Scope, hash, destination, default));
            Assert.Equal(payload, destination[..bytes]);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Tells_the_length_of_a_block_that_does_not_fit(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(1, MiB), default);

        Assert.Equal(new GetResult(GetStatus.TooSmall, MiB), await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), new byte[MiB - 1], default));
        Assert.Equal(new GetResult(GetStatus.TooSmall, MiB), await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), Memory<byte>.Empty, default));
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Reads_any_range_of_a_block(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        var payload = TestBytes.Payload(3, 300_000);
        var hash = TestBytes.Hash(1, 0);
        await client.PutAsync(NodeFixture.Scope, hash, default, payload, default);

        var random = new Random(11);
        int[] offsets = [0, 1, 65_535, 65_536, 131_072, 299_999, 300_000, 400_000, .. Enumerable.Range(0, 40).Select(_ => random.Next(310_000))];
        foreach (var offset in offsets)
        {
            var destination = new byte[random.Next(200_000)];
            var expected = offset >= payload.Length ? [] : payload.AsSpan(offset, Math.Min(destination.Length, payload.Length - offset)).ToArray();
            var result = await client.GetRangeAsync(NodeFixture.Scope, hash, offset, destination, default);

            Assert.Equal(new GetResult(GetStatus.Hit, expected.Length), result);
            Assert.Equal(expected, destination[..expected.Length]);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Gets_many_blocks_with_misses_among_them(ClientTransport transport, bool blocking)
    {
        const int Count = 70;
        const int BlockBytes = 100_000;
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        var hashes = new byte[Count * 32];
        for (var index = 0; index < Count; index++)
        {
            TestBytes.Hash(2, index).CopyTo(hashes, index * 32);
            if (index % 7 != 3)
            {
                await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(2, index), default, TestBytes.Payload(index, BlockBytes - index), default);
            }
        }

        var destination = new byte[Count * BlockBytes];
        var results = new GetResult[Count];
        Assert.Equal(60, await client.GetManyAsync(NodeFixture.Scope, hashes, destination, BlockBytes, results, default));
        for (var index = 0; index < Count; index++)
        {
            Assert.Equal(index % 7 == 3 ? new GetResult(GetStatus.Miss, 0) : new GetResult(GetStatus.Hit, BlockBytes - index), results[index]);
            Assert.True(index % 7 == 3 || destination.AsSpan(index * BlockBytes, BlockBytes - index).SequenceEqual(TestBytes.Payload(index, BlockBytes - index)), $"block {index}");
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Puts_a_chain_and_sends_only_what_is_missing(ClientTransport transport, bool blocking)
    {
        const int Count = 20;
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        var hashes = Enumerable.Range(0, Count).SelectMany(index => TestBytes.Hash(3, index)).ToArray();
        var payloads = Enumerable.Range(0, Count).Select(index => (ReadOnlyMemory<byte>)TestBytes.Payload(index, 100_000)).ToArray();
        var results = new PutStatus[Count];

        await client.PutManyAsync(NodeFixture.Scope, hashes.AsMemory(0, 8 * 32), default, payloads[..8], results, default);
        Assert.All(results[..8], status => Assert.Equal(PutStatus.Stored, status));
        await client.PutManyAsync(NodeFixture.Scope, hashes, default, payloads, results, default);
        Assert.All(results[..8], status => Assert.Equal(PutStatus.AlreadyPresent, status));
        Assert.All(results[8..], status => Assert.Equal(PutStatus.Stored, status));

        var match = await client.MatchPrefixAsync(NodeFixture.Scope, hashes, TimeSpan.FromSeconds(10), default);
        Assert.Equal(Count, match.Blocks);
        Assert.True(match.LeasedUntil > 0);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Matches_up_to_the_first_block_that_is_missing(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        var hashes = Enumerable.Range(0, 10).SelectMany(index => TestBytes.Hash(4, index)).ToArray();
        for (var index = 0; index < 6; index++)
        {
            var parent = index == 0 ? default : (ReadOnlyMemory<byte>)TestBytes.Hash(4, index - 1);
            await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(4, index), parent, TestBytes.Payload(index, 5000), default);
        }

        Assert.Equal(6, (await client.MatchPrefixAsync(NodeFixture.Scope, hashes, TimeSpan.Zero, default)).Blocks);
        var present = new bool[10];
        Assert.Equal(6, await client.ExistsAsync(NodeFixture.Scope, hashes, present, default));
        Assert.Equal([true, true, true, true, true, true, false, false, false, false], present);

        Assert.True(await client.RemoveAsync(NodeFixture.Scope, TestBytes.Hash(4, 2), default));
        Assert.False(await client.RemoveAsync(NodeFixture.Scope, TestBytes.Hash(4, 2), default));
        Assert.Equal(2, (await client.MatchPrefixAsync(NodeFixture.Scope, hashes, TimeSpan.Zero, default)).Blocks);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Leases_a_block_where_it_is(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        var payload = TestBytes.Payload(5, MiB);
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(5, 0), default, payload, default);

        Assert.Null(await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(5, 1), default));
        using var block = await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(5, 0), default);
        Assert.Equal(transport == ClientTransport.SharedMemory, block!.IsInPlace);
        Assert.True(block.Span.SequenceEqual(payload));
        Assert.True(block.Release());
        Assert.True(block.Release());
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Keeps_values_of_opaque_keys(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        var key = "some/key"u8.ToArray();
        Assert.False(await client.ExistsKeyAsync(key, default));
        Assert.Equal(PutStatus.Stored, await client.PutKeyAsync(key, TestBytes.Payload(1, 70_000), default));
        Assert.Equal(PutStatus.Stored, await client.PutKeyAsync(key, TestBytes.Payload(2, 80_000), default));
        Assert.True(await client.ExistsKeyAsync(key, default));

        var destination = new byte[80_000];
        Assert.Equal(new GetResult(GetStatus.Hit, 80_000), await client.GetKeyAsync(key, destination, default));
        Assert.Equal(TestBytes.Payload(2, 80_000), destination);
        Assert.True(await client.RemoveKeyAsync(key, default));
        Assert.Equal(GetStatus.Miss, (await client.GetKeyAsync(key, destination, default)).Status);
    }

    [Fact]
    public async Task Tells_figures_and_answers_a_ping()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync();
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(6, 0), default, new byte[10], default);
        Assert.NotNull(await client.PingAsync(default));
        using var stats = System.Text.Json.JsonDocument.Parse((await client.StatsAsync(default))!);
        Assert.Equal(1, stats.RootElement.GetProperty("tenant").GetProperty("blocks").GetInt64());
        Assert.True(stats.RootElement.TryGetProperty("tiers", out _));
    }

    [Fact]
    public async Task Moves_from_loopback_to_shared_memory_by_itself()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(ClientTransport.Tcp, change: options => options with { AllowSharedMemory = true });
        Assert.Equal(ClientTransport.SharedMemory, client.Transport);
    }
}
