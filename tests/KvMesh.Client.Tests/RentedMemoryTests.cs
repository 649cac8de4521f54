using System.Runtime.InteropServices;
using KvMesh.Client.SharedMemory;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>Payloads that are built where the node can read them.</summary>
public sealed class RentedMemoryTests
{
    private const int MiB = 1 << 20;

    public static TheoryData<ClientTransport, bool> All => Transports.All;

    [Theory]
    [MemberData(nameof(All))]
    public async Task What_is_put_out_of_rented_memory_is_stored_as_it_is(ClientTransport transport, bool blocking)
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        using var rented = await client.RentAsync(4 * MiB, default);
        Assert.Equal(4 * MiB, rented.Memory.Length);
        Assert.Equal(transport == ClientTransport.SharedMemory, IsShared(rented.Memory));

        foreach (var (index, (start, bytes)) in new[] { (0, 4 * MiB), (1, 100), (65_537, 300_001), (4 * MiB, 0), (12_288, 65_536) }.Index())
        {
            // The same memory is used again, as a caller does that keeps it.
            var payload = TestBytes.Payload(index, bytes);
            payload.CopyTo(rented.Memory[start..]);
            Assert.Equal(PutStatus.Stored, await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, index), default, rented.Memory.Slice(start, bytes), default));
            Assert.Equal(PutStatus.AlreadyPresent, await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, index), default, rented.Memory.Slice(start, bytes), default));
            Assert.Equal(payload, node.Engine.Get(NodeFixture.Scope.KeyOf(TestBytes.Hash(1, index))));
        }

        rented.Memory.Span[..9].Fill(7);
        Assert.Equal(PutStatus.Stored, await client.PutKeyAsync("opaque"u8.ToArray(), rented.Memory[..9], default));
        var destination = new byte[9];
        Assert.True((await client.GetKeyAsync("opaque"u8.ToArray(), destination, default)).IsHit);
        Assert.Equal(Enumerable.Repeat((byte)7, 9), destination);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task A_chain_is_put_out_of_slices_of_one_rented_memory(ClientTransport transport, bool blocking)
    {
        const int Count = 20;
        const int BlockBytes = 200_000;
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(transport, blocking);
        using var rented = await client.RentAsync(Count * BlockBytes, default);
        TestBytes.Payload(1, Count * BlockBytes).CopyTo(rented.Memory);
        ReadOnlyMemory<byte>[] payloads = [.. Enumerable.Range(0, Count).Select(index => (ReadOnlyMemory<byte>)rented.Memory.Slice(index * BlockBytes, BlockBytes))];
        byte[] hashes = [.. Enumerable.Range(0, Count).SelectMany(index => TestBytes.Hash(1, index))];

        var results = new PutStatus[Count];
        await client.PutManyAsync(NodeFixture.Scope, hashes, default, payloads, results, default);
        Assert.All(results, result => Assert.Equal(PutStatus.Stored, result));
        var match = await client.MatchPrefixAsync(NodeFixture.Scope, hashes, TimeSpan.Zero, default);
        Assert.Equal(Count, match.Blocks);
        for (var index = 0; index < Count; index++)
        {
            Assert.True(node.Engine.Get(NodeFixture.Scope.KeyOf(TestBytes.Hash(1, index))).AsSpan().SequenceEqual(payloads[index].Span), $"block {index} differs");
        }
    }

    [Fact]
    public async Task Rents_ordinary_memory_when_the_shared_one_is_spent_and_shares_again_when_it_comes_back()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(ClientTransport.SharedMemory, change: options => options with { Connections = 2 });
        using (var first = await client.RentAsync(8 * MiB, default))
        using (var second = await client.RentAsync(8 * MiB, default))
        using (var third = await client.RentAsync(1, default))
        {
            Assert.True(IsShared(first.Memory));
            Assert.True(IsShared(second.Memory));
            Assert.False(IsShared(third.Memory));

            // Puts of ordinary memory find no room to be copied to, and go over the socket.
            Assert.Equal(PutStatus.Stored, await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, TestBytes.Payload(1, MiB), default));
        }

        using var again = await client.RentAsync(8 * MiB, default);
        Assert.True(IsShared(again.Memory));
        Assert.False(IsShared((await client.RentAsync(9 * MiB, default)).Memory));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.RentAsync(0, default).AsTask());
    }

    [Fact]
    public async Task Rented_memory_outlives_its_connection()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(ClientTransport.SharedMemory);
        using var rented = await client.RentAsync(MiB, default);
        var payload = TestBytes.Payload(1, MiB);
        payload.CopyTo(rented.Memory);
        await node.CutOffAsync();
        Assert.Equal(PutStatus.Failed, await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, rented.Memory, default));

        node.Restart();
        await Eventually.Holds(
            async () => await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, rented.Memory, default) != PutStatus.Failed, "a put after the node came back");
        Assert.Equal(payload, node.Engine.Get(NodeFixture.Scope.KeyOf(TestBytes.Hash(1, 0))));
        await client.DisposeAsync();
        Assert.True(rented.Memory.Span.SequenceEqual(payload));
    }

    [Fact]
    public void A_part_is_given_back_after_its_owner_and_every_put_of_it()
    {
        using var file = MemoryFile.Create("test", MiB);
        using var area = StagingArea.Map(file, MiB);
        Assert.True(area.TryRent(MiB, out var offset));
        var rented = new StagedMemory(area, offset, MiB);
        var memory = rented.Memory;
        Assert.True(StagedMemory.TryFind(memory[4096..], out var found, out var start));
        Assert.Same(rented, found);
        Assert.Equal(4096, start);

        Assert.True(rented.TryUse());
        ((IDisposable)rented).Dispose();
        ((IDisposable)rented).Dispose();
        Assert.False(area.TryRent(1, out _), "the node may still be reading");
        Assert.Throws<ObjectDisposedException>(() => memory.Span.Length);
        rented.EndUse();
        Assert.False(rented.TryUse());
        Assert.True(area.TryRent(MiB, out _));
        area.Return(0);
    }

    private static bool IsShared(Memory<byte> memory) => MemoryMarshal.TryGetMemoryManager<byte, StagedMemory>(memory, out _);
}
