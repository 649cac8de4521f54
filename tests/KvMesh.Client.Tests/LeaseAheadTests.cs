using System.Buffers.Binary;
using System.Collections.Concurrent;
using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>Leases that are asked for before they are needed, and that go back without a request of their own.</summary>
public sealed class LeaseAheadTests
{
    private const int BlockBytes = 100_000;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Gives_back_what_a_cancelled_run_had_asked_for(bool blocking)
    {
        await using var node = NodeWithBudgetFor(30);
        var client = await node.ConnectAsync(ClientTransport.SharedMemory, blocking, options => options with { Connections = 1 });
        await PutAsync(client, 40);
        using var cancel = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var block in client.LeaseManyAsync(NodeFixture.Scope, Hashes(40), cancel.Token))
            {
                await cancel.CancelAsync();
            }
        });

        // What was asked ahead may still be on its way then.
        await Eventually.Holds(async () => await CountInPlaceAsync(client, 28) == 28, "the leases of the cancelled run given back");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reads_right_bytes_while_another_client_makes_them_leave(bool blocking)
    {
        // Leases run out at once and the arena holds a part of what is written, so that extents change hands under the reader.
        await using var node = new NodeFixture(
            options =>
            {
                options.ArenaBytes = 16 << 20;
                options.MaxResidenceLease = TimeSpan.FromMilliseconds(1);
            },
            options => options with { MaxResidenceLease = TimeSpan.FromMilliseconds(1) });
        var reader = await node.ConnectAsync(ClientTransport.SharedMemory, blocking);
        var writer = await node.ConnectAsync(ClientTransport.SharedMemory, blocking);
        var valid = 0;
        for (var round = 0; round < 4; round++)
        {
            var writing = Task.Run(() => PutAsync(writer, 200));
            for (var pass = 0; pass < 3; pass++)
            {
                valid += await CountValidAsync(reader);
            }

            await writing.Within("the end of the writer");
        }

        // On a busy machine the reader may come too late for all of them while they are written.
        await Eventually.Holds(async () => (valid += await CountValidAsync(reader)) > 0, "a block that was read");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reads_many_blocks_into_memory_with_a_budget_for_a_few(bool blocking)
    {
        await using var node = NodeWithBudgetFor(3);
        var client = await node.ConnectAsync(ClientTransport.SharedMemory, blocking, options => options with { Connections = 1 });
        await PutAsync(client, 50);
        var destination = new byte[60 * BlockBytes];
        var results = new GetResult[60];
        Assert.Equal(50, await client.GetManyAsync(NodeFixture.Scope, Hashes(60), destination, BlockBytes, results, default));
        for (var index = 0; index < 60; index++)
        {
            Assert.Equal(index < 50 ? GetStatus.Hit : GetStatus.Miss, results[index].Status);
            Assert.True(index >= 50 || destination.AsSpan(index * BlockBytes, BlockBytes).SequenceEqual(TestBytes.Payload(index, BlockBytes)), $"block {index} differs");
        }
    }

    [Fact]
    public async Task Callers_of_one_blocking_connection_get_each_their_own_answer()
    {
        await using var node = new NodeFixture(options => options.ArenaBytes = 64 << 20);
        var client = await node.ConnectAsync(ClientTransport.Unix, blocking: true, options => options with { Connections = 1 });
        await PutAsync(client, 8);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(caller => Eventually.Run(() => Call(client, caller)))).Within("the end of every caller");
    }

    [Fact]
    public async Task Runs_side_by_side_share_a_blocking_connection()
    {
        await using var node = new NodeFixture(options => options.ArenaBytes = 256 << 20);
        var client = await node.ConnectAsync(ClientTransport.SharedMemory, blocking: true, options => options with { Connections = 1 });
        await PutAsync(client, 40);

        // More runs than a connection lets begin without an answer, advanced in turns, with puts in between.
        var runs = Enumerable.Range(0, 40).Select(_ => client.LeaseManyAsync(NodeFixture.Scope, Hashes(40), default).GetAsyncEnumerator()).ToList();
        for (var index = 0; index < 40; index++)
        {
            foreach (var run in runs)
            {
                Assert.True(await run.MoveNextAsync());
                Assert.True(run.Current!.Span.SequenceEqual(TestBytes.Payload(index, BlockBytes)), $"block {index} differs");
            }

            await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(2, index), default, TestBytes.Payload(index, BlockBytes), default);
        }

        foreach (var run in runs)
        {
            Assert.False(await run.MoveNextAsync());
            await run.DisposeAsync();
        }
    }

    [Fact]
    public void Leases_that_were_given_back_travel_with_the_next_request()
    {
        using var returned = new ReturnedLeases(TimeProvider.System, _ => { });
        returned.Add(7);
        returned.Add(long.MaxValue);
        var lease = new LeaseOperation(KeySelection.Opaque(new byte[] { 1 }));
        Assert.True(lease.TryCarry(returned));
        Assert.True(returned.IsEmpty);

        var writer = new FrameWriter();
        lease.Write(writer);
        var reader = new HeadReader(writer.Pending[FrameHeader.Bytes..]);
        var ids = LeaseRequest.Read(ref reader).Releases;
        Assert.Equal(2 * sizeof(long), ids.Length);
        Assert.Equal(7, BinaryPrimitives.ReadInt64LittleEndian(ids));
        Assert.Equal(long.MaxValue, BinaryPrimitives.ReadInt64LittleEndian(ids[sizeof(long)..]));
    }

    [Fact]
    public async Task Leases_that_were_given_back_are_sent_after_a_while_or_when_there_are_many()
    {
        // True: by the caller who gave back one too many. False: by the timer.
        var sends = new ConcurrentQueue<bool>();
        using var returned = new ReturnedLeases(TimeProvider.System, sends.Enqueue);
        returned.Add(1);
        await Eventually.Holds(() => sends.Contains(false), "the timer sends what nobody took along");
        Assert.Equal([1L], returned.TakeAll());

        for (var id = 0; id < 128; id++)
        {
            Assert.DoesNotContain(true, sends);
            returned.Add(id);
        }

        Assert.Contains(true, sends);
    }

    private static void Call(KvMeshClient client, int caller)
    {
        var destination = new byte[BlockBytes];
        var payload = TestBytes.Payload(caller, BlockBytes);
        for (var round = 0; round < 50; round++)
        {
            // A blocking client has completed what it returns.
            var get = client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, caller), destination, default);
            Assert.True(get.IsCompletedSuccessfully && get.Result.IsHit, $"caller {caller} missed its block");
            Assert.True(destination.AsSpan().SequenceEqual(payload), $"caller {caller} got the answer of another one");
            var put = client.PutAsync(NodeFixture.Scope, TestBytes.Hash(caller + 10, round), default, payload, default);
            Assert.True(put.IsCompletedSuccessfully && put.Result == PutStatus.Stored, $"caller {caller} could not put block {round}");
        }
    }

    /// <summary>A node whose leases outlast every test, with a budget for so many of them on a connection.</summary>
    private static NodeFixture NodeWithBudgetFor(int blocks)
    {
        var lease = TimeSpan.FromHours(1);
        return new NodeFixture(
            options =>
            {
                options.ArenaBytes = 64 << 20;
                options.MaxResidenceLease = lease;
                options.ConnectionLeaseShare = (blocks + 0.5) * BlockBytes / options.ArenaBytes;
            },
            options => options with { MaxResidenceLease = lease });
    }

    /// <summary>How many of the first blocks a run opens in place when it keeps all of their leases.</summary>
    private static async Task<int> CountInPlaceAsync(KvMeshClient client, int count)
    {
        List<LeasedBlock?> blocks = [];
        for (var index = 0; index < count; index++)
        {
            blocks.Add(await client.LeaseAsync(NodeFixture.Scope, TestBytes.Hash(1, index), default));
        }

        blocks.ForEach(block => block?.Dispose());
        return blocks.Count(block => block is { IsInPlace: true });
    }

    /// <summary>Reads all blocks, and checks those that were there until they had been read. Returns how many were.</summary>
    private static async Task<int> CountValidAsync(KvMeshClient reader)
    {
        var copy = new byte[BlockBytes];
        var (index, valid) = (0, 0);
        await foreach (var block in reader.LeaseManyAsync(NodeFixture.Scope, Hashes(200), default))
        {
            block?.Span.CopyTo(copy);
            if (block?.Release() == true)
            {
                valid++;
                Assert.True(copy.AsSpan().SequenceEqual(TestBytes.Payload(index, BlockBytes)), $"block {index} came with wrong bytes");
            }

            index++;
        }

        return valid;
    }

    private static byte[] Hashes(int count) => [.. Enumerable.Range(0, count).SelectMany(index => TestBytes.Hash(1, index))];

    private static async Task PutAsync(KvMeshClient client, int count)
    {
        for (var index = 0; index < count; index++)
        {
            await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, index), default, TestBytes.Payload(index, BlockBytes), default);
        }
    }
}
