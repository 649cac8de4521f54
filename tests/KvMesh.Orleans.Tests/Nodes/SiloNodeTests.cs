using KvMesh.Client;
using KvMesh.Client.Admin;
using KvMesh.Client.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;
using Xunit.Abstractions;

namespace KvMesh.Orleans.Tests.Nodes;

/// <summary>Nodes that were started with <c>--control orleans</c>: one session over both, whichever of them is lost.</summary>
[Trait("Category", "System")]
public sealed class SiloNodeTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly TimeSpan Promised = TimeSpan.FromSeconds(5);

    private readonly NodePair _pair = new();

    public Task InitializeAsync() => _pair.InitializeAsync();

    public Task DisposeAsync() => _pair.DisposeAsync();

    [Fact]
    public async Task A_session_is_resumed_on_another_node_and_goes_on_when_its_owner_is_killed()
    {
        await using var first = await _pair.ConnectAsync(0);
        await using var second = await _pair.ConnectAsync(1);
        var opened = await AnswerAsync(first, SequenceCommands.Open(requestId: 1));
        await AppendAsync(first, opened.Epoch, 0);
        var resumed = await AnswerAsync(second, new ResumeSequence { RequestId = 2, Holder = "engine-2" });
        Assert.Equal((4, "engine-2"), (resumed.Blocks, resumed.Holder));
        await AppendAsync(second, resumed.Epoch, 4);
        Assert.Equal(SequenceRefusal.StaleEpoch, (await first.Sequences.ExecuteAsync("chat", SequenceCommands.Append(opened.Epoch, 8, requestId: 3), default)).Refusal);
        using var admin = PatientAdmin.Of(_pair.Nodes[1].Addresses);
        await Eventually.Holds(async () => (await SchedulerAsync(admin)).Length > 0, "a node that plans");

        // The grain is where it was first asked for: with its silo.
        await _pair.Nodes[0].Process.KillAsync();
        var start = TimeProvider.System.GetTimestamp();
        await AppendAsync(second, resumed.Epoch, 8);

        var took = TimeProvider.System.GetElapsedTime(start);
        output.WriteLine($"went on after {took.TotalSeconds:0.00} s");
        Assert.True(took <= Promised, $"It took {took.TotalSeconds:0.00} s.");
        var rows = await second.Sequences.ReadRowsAsync("chat", 0, 10, default);
        Assert.Equal([SequenceCommands.Hash(4), SequenceCommands.Hash(8), SequenceCommands.Hash(12)], rows.Rows.Select(row => row.LastHash));
        await Eventually.Holds(async () => await SchedulerAsync(admin) == "n2", "the node that is left plans");
    }

    [Fact]
    public async Task A_node_whose_silo_was_declared_dead_serves_on_with_another_silo()
    {
        await using var first = await _pair.ConnectAsync(0);
        await using var second = await _pair.ConnectAsync(1);
        var opened = await AnswerAsync(second, SequenceCommands.Open(requestId: 1));
        await AppendAsync(second, opened.Epoch, 0);

        // Nothing is heard of its owner for a while; the other goes on.
        await _pair.Nodes[1].Process.SignalAsync("STOP");
        await AppendAsync(first, opened.Epoch, 4);
        await _pair.Nodes[1].Process.SignalAsync("CONT");

        await _pair.WaitForSilosAsync(3);
        await AppendAsync(second, opened.Epoch, 8);
        await AppendAsync(first, opened.Epoch, 12);
    }

    /// <summary>The node that plans; empty: the one that was asked knows of none that answers.</summary>
    private static async Task<string> SchedulerAsync(AdminClient admin)
    {
        try
        {
            return (await admin.GetOrdersAsync(10, default)).Scheduler;
        }
        catch (AdminRefusedException)
        {
            return "";
        }
    }

    private static async Task AppendAsync(KvMeshClient client, long epoch, long after) =>
        Assert.Equal(after + 4, (await AnswerAsync(client, SequenceCommands.Append(epoch, after, requestId: (ulong)after + 100))).Blocks);

    /// <summary>Asks until there is an answer. With a request id of its own nothing happens twice.</summary>
    private static async Task<SequenceInfo> AnswerAsync(KvMeshClient client, SequenceCommand command)
    {
        SequenceResult result = null!;
        await Eventually.Holds(
            async () => (result = await client.Sequences.ExecuteAsync("chat", command, default)).Refusal is not (SequenceRefusal.Unavailable or SequenceRefusal.Busy),
            () => $"an answer; the last was {result.Text}");
        Assert.True(result.IsOk, $"{result.Refusal}: {result.Text}");
        return result.Sequence!;
    }
}
