using KvMesh.Client;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Server.Tests;

/// <summary>What a node tells operators of blocks beyond it: on real nodes that meet in a real Redis.</summary>
public sealed class MeshFigureTests : IAsyncLifetime
{
    private const int BlockCount = 4;
    private const int PayloadBytes = 8 * 1024;

    private RestartableRedis _redis = null!;

    public async Task InitializeAsync() => _redis = await RestartableRedis.StartAsync();

    public async Task DisposeAsync() => await _redis.DisposeAsync();

    [Fact]
    public async Task Flows_and_far_tiers_say_what_came_from_where()
    {
        await using var one = await StartAsync("one");
        await using var two = await StartAsync("two");
        await PutAsync(one);
        using var atTwo = PatientAdmin.Of(two.Node.Endpoints.Http);
        using var atOne = PatientAdmin.Of(one.Node.Endpoints.Http);
        await ReadAllAsync(two);

        FlowList flows = null!;
        await Eventually.Holds(
            async () => (flows = await atTwo.GetFlowsAsync(CancellationToken.None)).Flows.Sum(flow => flow.Bytes) >= BlockCount * PayloadBytes,
            "all bytes in the flows");
        Assert.Equal("two", flows.Node);
        var flow = Assert.Single(flows.Flows);
        Assert.Equal(("peer", "one", "two", false), (flow.Kind, flow.Source, flow.Target, flow.IsLeftAlone));
        await Eventually.Holds(
            async () => (await atTwo.GetStatusAsync(CancellationToken.None)).FarTiers!.Single() is
            { Name: "peers", State: "up", Hits: BlockCount, HitBytes: BlockCount * PayloadBytes },
            "the same bytes as hits of the tier");

        // Any node tells those of all.
        ClusterFlows all = null!;
        await Eventually.Holds(
            async () => (all = await atOne.GetClusterFlowsAsync(CancellationToken.None)).Nodes.Count == 2, "the flows of both nodes, asked of the one that took nothing");
        Assert.Empty(all.Unknown);
        Assert.Equal(["one", "two"], all.Nodes.Select(list => list.Node));
        Assert.Equal(("one", "two", BlockCount * PayloadBytes), all.Nodes[1].Flows.Select(each => (each.Source, each.Target, each.Bytes)).Single());

        // The other end counts the same bytes as given, and its history has them as a rate.
        await Eventually.Holds(
            async () => (await atOne.GetStatusAsync(CancellationToken.None)).FarTiers!.Single() is { GivenBlocks: BlockCount, GivenBytes: BlockCount * PayloadBytes },
            "all bytes given by the other node");
        await Eventually.Holds(
            async () => (await atOne.GetHistoryAsync(600, CancellationToken.None)).Samples.Any(sample => sample.FarTiers!.Single().BytesOut > 0),
            "the bytes in the history of the node that gave them");
        await Eventually.Holds(
            async () => (await atTwo.GetHistoryAsync(600, CancellationToken.None)).Samples.Any(sample => sample.FarTiers!.Single() is { BytesIn: > 0, HitRatio: > 0 }),
            "the bytes in the history of the node that took them");
    }

    [Fact]
    public async Task Segments_say_which_nodes_hold_them()
    {
        await using var one = await StartAsync("one");
        await using var two = await StartAsync("two");
        using var admin = PatientAdmin.Of(two.Node.Endpoints.Http);
        await PutAsync(one);
        var sequence = await AnswerAsync(() => admin.OpenSequenceAsync(null, new SequenceOpenRequest("chat", "model", "1"), CancellationToken.None));
        await AppendAsync(admin, sequence.Epoch, after: 0, blocks: 2);
        await AppendAsync(admin, sequence.Epoch, after: 2, blocks: 2);
        await AppendAsync(admin, sequence.Epoch, after: 4, blocks: 2);
        SegmentList segments = null!;
        await Eventually.Holds(
            async () => (segments = await AnswerAsync(() => admin.GetSegmentPlacesAsync(null, "chat", 0, 100, CancellationToken.None))).Segments
                .Count(segment => segment.Places is [{ Node: "one", IsWhole: true }]) == 2,
            "the holder of the two segments that were put");

        Assert.All(segments.Segments.Take(2), segment => Assert.NotEmpty(segment.Places!));
        Assert.Empty(segments.Segments[2].Places!);
        Assert.All(
            (await AnswerAsync(() => admin.GetSegmentsAsync(null, "chat", 0, 100, CancellationToken.None))).Segments, segment => Assert.Null(segment.Places));

        // A copy of its first block alone is the beginning of a segment.
        await ReadAsync(two, 1);
        SegmentPlace? here = null;
        await Eventually.Holds(
            async () => (here = (await AnswerAsync(() => admin.GetSegmentPlacesAsync(null, "chat", 0, 1, CancellationToken.None)))
                .Segments[0].Places!.SingleOrDefault(place => place.Node == "two")) is not null,
            "the node that read the first block among its places");
        Assert.False(here!.IsWhole);
        Assert.Equal(["host"], here.Tiers);
    }

    [Fact]
    public async Task Places_need_the_right_admin_and_a_bound()
    {
        await using var node = await TestNode.StartAsync(tokens: [new TestToken("acme", "weak", "read", "write"), new TestToken("acme", "strong", "admin")]);
        using var weak = PatientAdmin.Of(node.Node.Endpoints.Http, "weak");
        using var strong = PatientAdmin.Of(node.Node.Endpoints.Http, "strong");
        await weak.OpenSequenceAsync(null, new SequenceOpenRequest("chat", "model"), CancellationToken.None);

        Assert.Empty((await strong.GetSegmentPlacesAsync(null, "chat", 0, 100, CancellationToken.None)).Segments);
        Assert.True((await Assert.ThrowsAsync<AdminRefusedException>(() => weak.GetSegmentPlacesAsync(null, "chat", 0, 100, CancellationToken.None))).LacksRights);
        Assert.Equal(
            "count", (await Assert.ThrowsAsync<AdminRefusedException>(() => strong.GetSegmentPlacesAsync(null, "chat", 0, 129, CancellationToken.None))).Error!.Field);
        using var wrong = await node.As("strong").GetAsync(new Uri($"{AdminRoutes.Sequences}/chat/segments?places=perhaps", UriKind.Relative));
        Assert.Contains("true or false", await wrong.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static async Task PutAsync(TestNode node)
    {
        await using var client = await ConnectAsync(node);
        for (var index = 1; index <= BlockCount; index++)
        {
            var parent = index == 1 ? default : HashOf(index - 1);
            Assert.Equal(PutStatus.Stored, await client.PutAsync(SequenceCommands.Scope, HashOf(index), parent, new byte[PayloadBytes], CancellationToken.None));
        }
    }

    private static async Task ReadAllAsync(TestNode node)
    {
        for (var index = 1; index <= BlockCount; index++)
        {
            await ReadAsync(node, index);
        }
    }

    /// <summary>Reads a block that another node holds, once the map knows it.</summary>
    private static async Task ReadAsync(TestNode node, int index)
    {
        await using var client = await ConnectAsync(node);
        var buffer = new byte[PayloadBytes];
        await Eventually.Holds(
            async () => (await client.GetAsync(SequenceCommands.Scope, HashOf(index), buffer, CancellationToken.None)).IsHit, $"block {index} from the other node");
    }

    private static ReadOnlyMemory<byte> HashOf(int index) => TestBytes.Hash(7, index);

    /// <summary>With an id of its own it happens once, however often it is sent.</summary>
    private static Task AppendAsync(AdminClient admin, long epoch, int after, int blocks) => AnswerAsync(() => admin.AppendSegmentAsync(
        null, "chat",
        new SequenceAppendRequest(
            epoch, blocks, blocks * 16, blocks * PayloadBytes, after == 0 ? null : $"{SequenceCommands.Hash(after)}", $"{SequenceCommands.Hash(after + 1)}",
            $"{SequenceCommands.Hash(after + blocks)}", $"{after + 1}"),
        CancellationToken.None));

    /// <summary>Asks until Redis, which may be late on a busy machine, has answered the node.</summary>
    private static Task<T> AnswerAsync<T>(Func<Task<T>> ask) => Eventually.Succeeds<T, AdminRefusedException>(ask, "an answer about the sequence");

    private static async Task<KvMeshClient> ConnectAsync(TestNode node) => await KvMeshClient.ConnectAsync(
        new ClientOptions { Endpoint = $"tcp://{node.Node.Endpoints.Native}", AllowSharedMemory = false, Connections = 1, RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience },
        CancellationToken.None);

    private Task<TestNode> StartAsync(string id) => TestNode.StartAsync(options =>
    {
        options.Mesh.Redis = _redis.Address;
        options.Mesh.NodeId = id;

        // However busy the machine, no living node is taken for dead and no read is given up.
        options.Mesh.FailureTime = TimeSpan.FromSeconds(60);
        options.Mesh.Peers.ConnectTimeout = Eventually.Patience;
        options.Engine.FarTiers.ShortestDeadline = options.Engine.FarTiers.LongestDeadline = TimeSpan.FromSeconds(60);

        // What is where is decided by these tests alone.
        options.Placement.BytesPerStep = 0;
    });
}
