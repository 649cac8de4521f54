using System.Text.Json;
using KvMesh.Client;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;

namespace KvMesh.System.Tests;

/// <summary>One session over three processes: whoever resumes it has all of it, and whoever had it can change nothing.</summary>
public abstract class SequenceMeshContract : IAsyncLifetime
{
    private readonly MeshOfThree _mesh;

    private protected SequenceMeshContract(MeshOfThree mesh) => _mesh = mesh;

    public Task InitializeAsync() => _mesh.InitializeAsync();

    public Task DisposeAsync() => _mesh.DisposeAsync();

    [Fact]
    public async Task A_session_moves_from_node_to_node_and_outlives_the_death_of_one()
    {
        await using var first = await ConnectAsync(0);
        await using var second = await ConnectAsync(1);
        await using var third = await ConnectAsync(2);
        var opened = await first.Sequences.AnswerAsync("chat", new OpenSequence { RequestId = 1, Scope = Blocks.Scope.Bytes, Holder = "engine-1" });
        Assert.True(opened.IsOk, opened.Text);
        await AppendAsync(first, opened.Sequence!.Epoch, 0);
        await AppendAsync(first, opened.Sequence.Epoch, 4);

        var resumed = await second.Sequences.GrantAsync("chat", "engine-2");
        Assert.True(resumed.IsOk, resumed.Text);
        Assert.True(resumed.Sequence!.Epoch > opened.Sequence.Epoch);
        Assert.Equal((8, "engine-2"), (resumed.Sequence.Blocks, resumed.Sequence.Holder));
        Assert.Equal([SequenceCommands.Hash(4), SequenceCommands.Hash(8)], resumed.Rows.Select(row => row.LastHash));
        await AppendAsync(second, resumed.Sequence.Epoch, 8);

        var stale = await first.Sequences.AnswerAsync("chat", SequenceCommands.Append(opened.Sequence.Epoch, 8, requestId: 2));
        Assert.Equal(SequenceRefusal.StaleEpoch, stale.Refusal);

        await _mesh.Nodes[1].Process.KillAsync();

        var rescued = await third.Sequences.GrantAsync("chat", "engine-3");
        Assert.True(rescued.IsOk, rescued.Text);
        Assert.True(rescued.Sequence!.Epoch > resumed.Sequence.Epoch);
        Assert.Equal(12, rescued.Sequence.Blocks);
        Assert.Equal(3, rescued.Rows.Count);
        await AppendAsync(third, rescued.Sequence.Epoch, 12);
        foreach (var epoch in new[] { opened.Sequence.Epoch, resumed.Sequence.Epoch })
        {
            var late = await first.Sequences.AnswerAsync("chat", SequenceCommands.Append(epoch, 16, requestId: 3));
            Assert.Equal(SequenceRefusal.StaleEpoch, late.Refusal);
        }

        using var witness = MeshOfThree.Admin(_mesh.Nodes[0]);
        await Eventually.Holds(async () => (await witness.GetNodesAsync(default)).Nodes.All(node => node.Id != "n2"), "the killed node gone from the view");

        // What the third node wrote, an operator reads at the first one.
        (int ExitCode, string Output, string Error) shown = default;
        await Eventually.Holds(
            async () => (shown = await NodeProcess.RunToEndAsync(Eventually.Patience, "seq", "show", "chat", "--json", "--node", $"{_mesh.Nodes[0].Addresses.Http}")).ExitCode == 0,
            () => $"the sequence as the command shows it; it ended with {shown.ExitCode}: {shown.Error}");
        var status = JsonDocument.Parse(shown.Output!).RootElement;
        Assert.Equal((16, "engine-3", rescued.Sequence.Epoch), (status.GetProperty("blocks").GetInt32(), status.GetProperty("holder").GetString(), status.GetProperty("epoch").GetInt64()));
    }

    private Task<KvMeshClient> ConnectAsync(int node) => Blocks.ConnectAsync(_mesh.Nodes[node].Addresses.NativeEndpoint);

    private static async Task AppendAsync(KvMeshClient client, long epoch, long start)
    {
        var appended = await client.Sequences.AnswerAsync("chat", SequenceCommands.Append(epoch, start, requestId: (ulong)start + 100));
        Assert.True(appended.IsOk, appended.Text);
        Assert.Equal(start + 4, appended.Sequence!.Blocks);
    }
}
