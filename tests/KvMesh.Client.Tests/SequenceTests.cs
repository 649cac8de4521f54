using KvMesh.Client.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Client.Tests;

/// <summary>Sequences through the client, over both kinds of connection.</summary>
public sealed class SequenceTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_from_its_first_turn_to_its_end(bool blocking)
    {
        await using var node = new NodeFixture();
        var sequences = (await node.ConnectAsync(blocking: blocking)).Sequences;
        var opened = Ok(await sequences.OpenAsync("chat", SequenceCommands.Scope, "worker-1", default));
        for (var turn = 0; turn < 3; turn++)
        {
            Ok(await sequences.AppendAsync("chat", SequenceCommands.Append(opened.Epoch, turn * 4), default));
        }

        Assert.Equal(PinState.Pending, Ok(await sequences.PinAsync("chat", opened.Epoch, 2, DateTimeOffset.MaxValue, default)).Pin.State);
        var fork = Ok(await sequences.ForkAsync("chat", "side", 6, SequenceCommands.Hash(6), "worker-2", default));
        Assert.Equal(("chat", 6, 2), (fork.Origin.Name, fork.Blocks, fork.Segments));
        Assert.Equal(SequenceState.Parked, Ok(await sequences.ParkAsync("chat", opened.Epoch, "worker-3", default)).State);

        var grant = await sequences.ResumeAsync("chat", "worker-3", default);
        Assert.True(grant.IsOk, grant.Text);
        Assert.Equal((12, 3, "worker-3"), (grant.Sequence!.Blocks, grant.Rows.Count, grant.Sequence.Holder));
        Assert.Equal(SequenceCommands.Scope.Bytes.ToArray(), grant.Sequence.Scope.ToArray());
        var stale = await sequences.AppendAsync("chat", SequenceCommands.Append(opened.Epoch, 12), default);
        Assert.Equal(SequenceRefusal.StaleEpoch, stale.Refusal);
        Assert.Contains($"{grant.Sequence.Epoch}", stale.Text, StringComparison.Ordinal);

        var page = await sequences.ReadRowsAsync("side", 0, 10, default);
        Assert.Equal((2, 2u), (page.Total, page.Rows[^1].Blocks));
        Assert.Equal(["chat", "side"], (await sequences.ListAsync("", 10, default)).Sequences.Select(info => info.Name));
        Assert.Equal(SequenceState.Closed, Ok(await sequences.CloseAsync("chat", grant.Sequence.Epoch, default)).State);
        Assert.Equal(SequenceRefusal.NotFound, (await sequences.FindAsync("nothing", default)).Refusal);
        Assert.Equal(SequenceRefusal.Invalid, (await sequences.FindAsync("no/name", default)).Refusal);
    }

    [Fact]
    public async Task Many_callers_of_one_connection_keep_their_order()
    {
        await using var node = new NodeFixture();
        var sequences = (await node.ConnectAsync(change: options => options with { Connections = 1 })).Sequences;
        var epoch = Ok(await sequences.OpenAsync("chat", SequenceCommands.Scope, "", default)).Epoch;
        var replies = await Task.WhenAll(Enumerable.Range(0, 100).Select(index => sequences.AppendAsync("chat", SequenceCommands.Append(epoch, index * 4), default).AsTask()));
        Assert.All(replies, reply => Assert.True(reply.IsOk, reply.Text));
    }

    [Fact]
    public async Task A_connection_that_is_cut_loses_no_append_and_doubles_none()
    {
        await using var node = new NodeFixture();
        var sequences = (await node.ConnectAsync()).Sequences;
        var epoch = Ok(await sequences.OpenAsync("chat", SequenceCommands.Scope, "", default)).Epoch;
        using var stop = new CancellationTokenSource();
        var appended = 0;
        var cutting = Task.Run(async () =>
        {
            // Longer from cut to cut until an append gets through: a busy machine may need more time to connect than it is left.
            for (var (pause, seen) = (5, 0); !stop.IsCancellationRequested; pause = Volatile.Read(ref appended) > seen ? 5 : pause * 2)
            {
                seen = Volatile.Read(ref appended);
                foreach (var connection in node.Host.Connections())
                {
                    node.Host.CloseConnection(connection.Id);
                }

                await Task.Delay(pause);
            }
        });
        for (var turn = 0; turn < 100; turn++, Interlocked.Increment(ref appended))
        {
            var append = SequenceCommands.Append(epoch, turn * 4, requestId: (ulong)turn + 1000);
            await Eventually.Holds(async () =>
            {
                var result = await sequences.AppendAsync("chat", append, default);
                Assert.True(result.IsOk || result.Refusal == SequenceRefusal.Unavailable, $"{result.Refusal}: {result.Text}");
                return result.IsOk;
            }, $"append {turn}");
        }

        await stop.CancelAsync();
        await cutting;
        SequenceResult? found = null;
        await Eventually.Holds(async () => (found = await sequences.FindAsync("chat", default)).IsOk, "an answer");
        Assert.Equal((400, 100), (found!.Sequence!.Blocks, found.Sequence.Segments));
    }

    [Fact]
    public async Task A_tenant_sees_only_its_own()
    {
        await using var node = new NodeFixture(null, null, ("red", "r", ["read", "write"]), ("blue", "b", ["read", "write"]), ("blue", "look", ["read"]));
        var red = (await node.ConnectAsync(change: options => options with { Token = "r" })).Sequences;
        var blue = (await node.ConnectAsync(change: options => options with { Token = "b" })).Sequences;
        Ok(await red.OpenAsync("chat", SequenceCommands.Scope, "", default));
        Assert.Equal(SequenceRefusal.NotFound, (await blue.FindAsync("chat", default)).Refusal);
        Assert.Empty((await blue.ListAsync("", 10, default)).Sequences);
        Ok(await blue.OpenAsync("chat", SequenceCommands.Scope, "", default));
        Assert.Equal(1, Ok(await red.FindAsync("chat", default)).Version);

        var reader = (await node.ConnectAsync(change: options => options with { Token = "look" })).Sequences;
        Ok(await reader.FindAsync("chat", default));
        var denied = await reader.CloseAsync("chat", 0, default);
        Assert.Equal(SequenceRefusal.Invalid, denied.Refusal);
        Assert.Contains("Write", denied.Text, StringComparison.Ordinal);
    }

    private static SequenceInfo Ok(SequenceResult result)
    {
        Assert.True(result.IsOk, $"{result.Refusal}: {result.Text}");
        return result.Sequence!;
    }
}
