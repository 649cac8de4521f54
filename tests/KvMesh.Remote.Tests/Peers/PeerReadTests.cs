using KvMesh.Cluster.Membership;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Remote.Tests.Peers;

public sealed class PeerReadTests
{
    private static readonly byte[] Key = "key"u8.ToArray();

    [Fact]
    public async Task A_holder_that_let_the_block_go_is_a_miss_and_corrects_the_map()
    {
        await using var node = new PeerNode();
        using var mesh = new TestMesh();
        var number = mesh.Join(node.Endpoint);
        mesh.Place(Key, number);

        Assert.Null(mesh.Read(Key));

        Assert.Equal([number], mesh.FalseHits);
        Assert.Equal(1, mesh.Here.Engine.Snapshot().FarTiers[0].FalseHits);
        Assert.True(mesh[number].IsClosed);
    }

    [Fact]
    public void A_holder_that_is_behind_in_removals_is_a_miss_and_the_map_stays()
    {
        using var behind = new ScriptedPeer(get =>
        {
            get.Begin();
            new BlockHead().Write(get.Writer);
            get.Writer.End(NativeStatus.Behind);
            get.Writer.Flush(get.Socket);
        });
        using var mesh = new TestMesh();
        mesh.Place(Key, mesh.Join(behind.Endpoint));

        Assert.Null(mesh.Read(Key));

        Assert.Empty(mesh.FalseHits);
        Assert.Equal(1, behind.Gets);
    }

    [Fact]
    public async Task The_next_holder_is_asked_when_one_let_the_block_go()
    {
        await using var empty = new PeerNode();
        await using var holder = new PeerNode();
        using var mesh = new TestMesh();
        var first = mesh.Join(empty.Endpoint);
        mesh.Place(Key, first, mesh.Join(holder.Endpoint));
        var payload = TestBytes.Payload(1, 200_000);
        holder.Engine.PutContent(Key, payload);

        Assert.Equal(payload, mesh.Read(Key));
        Assert.Equal([first], mesh.FalseHits);
    }

    [Fact]
    public async Task A_node_asks_nobody_for_another_node()
    {
        await using var node = new PeerNode();
        var third = new MemoryTier();
        third.StoreContent(Key, [1, 2, 3]);
        node.Engine.Engine.AttachTier(third);
        using var mesh = new TestMesh();
        mesh.Place(Key, mesh.Join(node.Endpoint));

        Assert.Null(mesh.Read(Key));
        Assert.Equal(0, third.Fetches);
    }

    [Fact]
    public async Task An_opaque_key_stays_where_it_is()
    {
        await using var node = new PeerNode();
        node.Engine.Put(Key, [1, 2, 3], BlockTraits.Opaque);
        using var mesh = new TestMesh();
        mesh.Place(Key, mesh.Join(node.Endpoint));

        Assert.Null(mesh.Read(Key));
    }

    [Fact]
    public async Task A_large_block_comes_from_all_its_holders()
    {
        await using var one = new PeerNode();
        await using var two = new PeerNode();
        using var mesh = new TestMesh(options =>
        {
            options.SplitBytes = 1 << 20;
            options.RangeBytes = 1 << 18;

            // Nobody takes a part over from one that is slow for a moment: the parts of both add up.
            options.ShortestHedge = Eventually.Patience;
        });
        var first = mesh.Join(one.Endpoint);
        var second = mesh.Join(two.Endpoint);
        mesh.Place(Key, first, second);
        var payload = TestBytes.Payload(1, (12 << 20) + 777);
        one.Engine.PutContent(Key, payload);
        two.Engine.PutContent(Key, payload);

        Assert.Equal(payload, mesh.Read(Key));

        Assert.Equal(payload.Length, mesh[first].HitBytes + mesh[second].HitBytes);
        Assert.True(mesh[first].HitBytes > 0 && mesh[second].HitBytes > 0);
    }

    [Fact]
    public async Task Copies_that_differ_are_never_mixed()
    {
        await using var one = new PeerNode();
        await using var two = new PeerNode();
        using var mesh = new TestMesh(options => options.SplitBytes = options.RangeBytes = 1 << 20);
        mesh.Place(Key, mesh.Join(one.Endpoint), mesh.Join(two.Endpoint));
        byte[][] copies = [TestBytes.Payload(1, 6 << 20), TestBytes.Payload(2, 6 << 20)];
        one.Engine.PutContent(Key, copies[0]);
        two.Engine.PutContent(Key, copies[1]);

        var read = mesh.Read(Key);

        // As spans: the comparer of the assertion boxes every byte, which takes a busy machine most of a minute.
        Assert.Contains(copies, copy => copy.AsSpan().SequenceEqual(read));
    }

    [Fact]
    public async Task A_connection_that_went_stale_costs_no_miss()
    {
        await using var node = new PeerNode();
        using var mesh = new TestMesh();
        var number = mesh.Join(node.Endpoint);
        for (byte index = 0; index < 2; index++)
        {
            node.Engine.PutContent([index], [index]);
            mesh.Place([index], number);
        }

        Assert.NotNull(mesh.Read([0]));
        await node.CutOffAsync();
        node.Serve();

        Assert.NotNull(mesh.Read([1]));
        Assert.Equal(0, mesh[number].Failures);
    }

    [Fact]
    public async Task Many_readers_share_the_bounded_connections()
    {
        await using var node = new PeerNode();
        using var mesh = new TestMesh(options => options.Connections = 2);
        var number = mesh.Join(node.Endpoint);
        var keys = Enumerable.Range(0, 24).Select(index => TestBytes.Hash(1, index)).ToArray();
        foreach (var key in keys)
        {
            node.Engine.PutContent(key, TestBytes.Payload(key[4], 100_000));
            mesh.Place(key, number);
        }

        var reads = await Task.WhenAll(keys.Select(key => Eventually.Run(() => mesh.Read(key)))).Within("24 reads over 2 connections");

        Assert.All(reads.Zip(keys), pair => Assert.Equal(TestBytes.Payload(pair.Second[4], 100_000), pair.First));
        Assert.InRange(mesh[number].Connections, 1, 2);
    }

    [Fact]
    public async Task Two_clients_that_race_for_a_block_get_the_same_bytes_from_one_fetch()
    {
        await using var node = new PeerNode();
        using var mesh = new TestMesh();
        var number = mesh.Join(node.Endpoint);
        using var start = new Barrier(2);
        for (var round = 0; round < 20; round++)
        {
            var key = TestBytes.Hash(2, round);
            var payload = TestBytes.Payload(round, 300_000);
            node.Engine.PutContent(key, payload);
            mesh.Place(key, number);

            var reads = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Eventually.Run(() =>
            {
                start.SignalAndWait(Eventually.Patience);
                return mesh.Read(key);
            }))).Within("two reads of one block");

            Assert.All(reads, read => Assert.Equal(payload, read));
        }

        Assert.Equal(20, mesh[number].Hits);
    }

    [Fact]
    public async Task A_peer_names_the_tenant_that_it_acts_for()
    {
        await using var node = new PeerNode(new TestToken("red", "red-token", ["read"]), new TestToken("blue", "peer-token", ["read", "peer"]));
        node.Engine.Put(Key, [1, 2, 3], BlockTraits.Content("m", "", default), tenant: node.Engine.Engine.Tenants.Find("red"));
        using var mesh = new TestMesh(credential: PeerCredential.FromToken("peer-token"), tenants: ["red", "blue"]);
        var number = mesh.Join(node.Endpoint);
        mesh.PlaceFor("red", Key, number);
        mesh.PlaceFor("blue", Key, number);

        Assert.Equal([1, 2, 3], mesh.Read(Key, "red")!);
        Assert.Null(mesh.Read(Key, "blue"));
    }

    [Fact]
    public async Task Who_is_no_peer_is_not_read_for()
    {
        await using var node = new PeerNode(new TestToken("red", "red-token", ["read"]), new TestToken("blue", "blue-token", ["read"]));
        node.Engine.Put(Key, [1, 2, 3], BlockTraits.Content("m", "", default), tenant: node.Engine.Engine.Tenants.Find("red"));
        using var mesh = new TestMesh(credential: PeerCredential.FromToken("blue-token"), tenants: ["red", "blue"]);
        var number = mesh.Join(node.Endpoint);
        mesh.PlaceFor("red", Key, number);
        mesh.PlaceFor("blue", Key, number);

        Assert.Null(mesh.Read(Key, "red"));
        Assert.Null(mesh.Read(Key, "blue"));
        Assert.False(mesh.Here.Engine.ExistsAnywhere(mesh.Here.Engine.Tenants.Find("red")!, Key, mesh.Here.Leases, TimeSpan.Zero));
        Assert.True(mesh[number].IsClosed);
    }
}
