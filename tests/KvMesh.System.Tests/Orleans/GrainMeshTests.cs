using System.Globalization;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;

namespace KvMesh.System.Tests.Orleans;

/// <summary>Sequences that are owned by grains of three processes, each of which is a silo. Only where the program was built for it.</summary>
[Trait("Category", "System")]
public sealed class GrainMeshTests() : SequenceMeshContract(new MeshOfThree { Configure = AsSilo })
{
    [Fact]
    public async Task A_node_joins_while_another_stands_still_which_goes_on_later_with_what_was_done_meanwhile()
    {
        using NodeFolders first = new(), second = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a");
        await using var clientOfA = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint);
        var opened = await clientOfA.Sequences.AnswerAsync("chat", SequenceCommands.Open());
        Assert.True(opened.IsOk, opened.Text);

        // Its grain is where it was opened, in a process that stands still when the other one comes.
        await a.Process.SignalAsync("STOP");
        await using var b = await StartAsync(second, redis, "b");
        await using var clientOfB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        var appended = await clientOfB.Sequences.AnswerAsync("chat", SequenceCommands.Append(opened.Sequence!.Epoch, 0, requestId: 1));
        Assert.True(appended.IsOk, appended.Text);
        await a.Process.SignalAsync("CONT");

        // What its grain has in memory is old, and it does not know yet.
        var other = await clientOfA.Sequences.AnswerAsync("chat", SequenceCommands.Append(opened.Sequence.Epoch, 4, requestId: 2));
        Assert.True(other.IsOk, other.Text);
        Assert.Equal(8, other.Sequence!.Blocks);
        Assert.False(a.Process.HasExited);
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RedisServer redis, string id)
    {
        folders.JoinMesh(redis.Port, id);
        AsSilo(folders);
        return NodeProcess.StartAsync(folders, "--arena", "32MiB");
    }

    private static void AsSilo(NodeFolders folders)
    {
        folders.Environment["KVMESH_Mesh__Control"] = "Orleans";
        folders.Environment["KVMESH_Mesh__Silo__Port"] = FreePort.Next().ToString(CultureInfo.InvariantCulture);
    }
}
