using KvMesh.Client;
using KvMesh.Client.Holders;
using KvMesh.Cluster.Map;
using KvMesh.Engine.Blocks;
using KvMesh.Remote.Tests.Peers.Feed;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Peers;

/// <summary>Blocks that only a worker of another node has, in its own memory: they are found, counted and read across nodes.</summary>
public sealed class HeldBlockTests
{
    private const int PayloadBytes = 200_000;
    private static readonly byte[] Payload = TestBytes.Payload(7, PayloadBytes);

    [Fact]
    public async Task A_reader_gets_it_byte_for_byte_from_the_worker_of_another_node()
    {
        using var mesh = new TestMesh();
        await using var node = new PeerNode();
        await using var worker = await ConnectAsync($"tcp://{node.Endpoint}");
        await using var holder = Hold(worker, Payload);
        await AnnounceAsync(holder, 1);
        var key = MapNode.KeyOf(0);
        mesh.Place(key, mesh.Join(node.Endpoint));

        Assert.Equal(Payload, mesh.Read(key));
        Assert.Empty(mesh.FalseHits);
        Assert.Equal(1, node.Engine.Engine.Snapshot().PeerReads);
    }

    [Fact]
    public async Task A_worker_that_gives_it_up_is_a_miss_and_the_map_is_told()
    {
        using var mesh = new TestMesh();
        await using var node = new PeerNode();
        await using var worker = await ConnectAsync($"tcp://{node.Endpoint}");
        await using var holder = worker.HoldBlocks(new BlockHolderOptions { Fill = (_, _, _) => ValueTask.FromResult(false) });
        await AnnounceAsync(holder, 1);
        mesh.Place(MapNode.KeyOf(0), mesh.Join(node.Endpoint));

        Assert.Null(mesh.Read(MapNode.KeyOf(0)));
        Assert.Single(mesh.FalseHits);
        Assert.Equal(0, node.Engine.Engine.HeldBlocks);
    }

    [Fact]
    public async Task A_worker_that_hangs_does_not_make_its_node_look_dead()
    {
        var deadline = TimeSpan.FromSeconds(20);
        using var mesh = new TestMesh(options => options.FirstHedge = TimeSpan.FromSeconds(1), deadline: deadline);
        await using var node = new PeerNode();
        node.Engine.Options.FarTiers.ShortestDeadline = deadline;
        var mayAnswer = new TaskCompletionSource();
        await using var worker = await ConnectAsync($"tcp://{node.Endpoint}");
        await using var holder = worker.HoldBlocks(new BlockHolderOptions
        {
            Fill = async (_, destination, cancellationToken) =>
            {
                await mayAnswer.Task.WaitAsync(cancellationToken);
                Payload.CopyTo(destination);
                return true;
            },
        });
        await AnnounceAsync(holder, 1);
        var (key, number) = (MapNode.KeyOf(0), mesh.Join(node.Endpoint));
        mesh.Place(key, number);

        Assert.Null(mesh.Read(key));
        Assert.Equal((0L, true), (mesh[number].Failures, mesh[number].IsClosed));

        // What came too late for this reader is there for the next one.
        mayAnswer.SetResult();
        await Eventually.Holds(() => node.Engine.Get(key) is not null, "the block of the worker that hung");
        mesh.Place(key, number);
        Assert.Equal(Payload, mesh.Read(key));
    }

    [Fact]
    public async Task Maps_know_it_while_the_worker_is_connected_and_count_no_copy()
    {
        await using var mesh = new MapMesh(new MapNode(0), new MapNode(1));
        var (a, b) = (mesh.Nodes[0], mesh.Nodes[1]);
        await using var worker = await ConnectAsync($"tcp://{a.Record.NativeAddress}");
        await using var holder = Hold(worker, Payload);
        await AnnounceAsync(holder, 2);
        mesh.ShowAll();
        await Eventually.Holds(() => b.Knows(0, a) && b.Knows(1, a), "what was announced before");
        await holder.WithdrawAsync(MapNode.Scope, TestBytes.Hash(1, 1), default);
        await Eventually.Holds(() => !b.Knows(1, a), "the end of an announcement");
        Assert.Equal(0, Copies(b, 0));

        a.Put(0, PayloadBytes);
        await Eventually.Holds(() => Copies(b, 0) == 1, "the copy of the node");
        a.Remove(0);
        await Eventually.Holds(() => !b.Knows(0, a), "the end of both");

        await AnnounceAsync(holder, 1);
        await Eventually.Holds(() => b.Knows(0, a), "the new announcement");
        await holder.DisposeAsync();
        await Eventually.Holds(() => !b.Knows(0, a), "the end of its connection");
    }

    private static int Copies(MapNode node, int block)
    {
        var holders = new HolderLists(1);
        node.Locator.LocateAll(Tenant.DefaultName, [MapNode.KeyOf(block)], holders, Eventually.Patience);
        return holders[0].Length;
    }

    private static ValueTask<KvMeshClient> ConnectAsync(string endpoint) =>
        KvMeshClient.ConnectAsync(new ClientOptions { Endpoint = endpoint, ClientName = "worker", RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience }, default);

    private static async Task AnnounceAsync(BlockHolder holder, int blocks) =>
        Assert.Equal(AnnounceStatus.Announced, (await holder.AnnounceAsync(MapNode.Scope, MapNode.Chain(blocks), default, PayloadBytes, default)).Status);

    private static BlockHolder Hold(KvMeshClient worker, byte[] payload) => worker.HoldBlocks(new BlockHolderOptions
    {
        Fill = (_, destination, _) =>
        {
            payload.CopyTo(destination);
            return ValueTask.FromResult(true);
        },
    });
}
