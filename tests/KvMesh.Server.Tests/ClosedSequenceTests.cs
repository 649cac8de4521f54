using System.Buffers.Text;
using System.Net;
using KvMesh.Client;
using KvMesh.Engine.Retention;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests;

/// <summary>What the end of a session means for its blocks.</summary>
public sealed class ClosedSequenceTests
{
    private const int BlockBytes = 60_000;

    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);

    [Fact]
    public async Task Blocks_of_a_session_that_was_closed_leave_before_older_ones()
    {
        await using var node = await TestNode.StartAsync(options => (options.Engine.ArenaBytes, options.Engine.Retention) = (4 << 20, RetentionKind.Lru));
        await using var client = await KvMeshClient.ConnectAsync(
            new ClientOptions { Endpoint = $"tcp://{node.Node.Endpoints.Native}", AllowSharedMemory = false, RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience }, default);
        await WriteAsync(client, session: 1, blocks: 4);
        var epoch = await WriteAsync(client, session: 2, blocks: 20);
        var closed = await client.Sequences.CloseAsync("chat-2", epoch, default);
        Assert.True(closed.IsOk, closed.Text);

        for (var filler = 0; await IsHereAsync(node, session: 2, index: 19); filler++)
        {
            Assert.InRange(filler, 0, 100);
            Assert.Equal(PutStatus.Stored, await client.PutAsync(Scope, TestBytes.Hash(9, filler), default, TestBytes.Payload(filler, BlockBytes), default));
        }

        Assert.True(await IsHereAsync(node, session: 1, index: 3));
    }

    /// <summary>Opens a session and writes its blocks. Returns its epoch.</summary>
    private static async Task<long> WriteAsync(KvMeshClient client, int session, int blocks)
    {
        var opened = await client.Sequences.OpenAsync($"chat-{session}", Scope, "engine", default);
        Assert.True(opened.IsOk, opened.Text);
        for (var index = 0; index < blocks; index++)
        {
            var parent = index == 0 ? default : (ReadOnlyMemory<byte>)TestBytes.Hash(session, index - 1);
            Assert.Equal(PutStatus.Stored, await client.PutAsync(Scope, TestBytes.Hash(session, index), parent, TestBytes.Payload(index, BlockBytes), default));
        }

        var segment = new AppendSegment
        {
            Epoch = opened.Sequence!.Epoch,
            Blocks = (uint)blocks,
            Tokens = 64,
            Bytes = (ulong)(blocks * BlockBytes),
            FirstHash = new BlockHash(TestBytes.Hash(session, 0)),
            LastHash = new BlockHash(TestBytes.Hash(session, blocks - 1)),
        };
        var appended = await client.Sequences.AppendAsync($"chat-{session}", segment, default);
        Assert.True(appended.IsOk, appended.Text);
        return opened.Sequence.Epoch;
    }

    /// <summary>Asked of an operator's door, which is no use.</summary>
    private static async Task<bool> IsHereAsync(TestNode node, int session, int index)
    {
        using var response = await node.Http.GetAsync($"{AdminRoutes.Blocks}?key={Base64Url.EncodeToString(Scope.KeyOf(TestBytes.Hash(session, index)))}");
        return response.StatusCode != HttpStatusCode.NotFound;
    }
}
