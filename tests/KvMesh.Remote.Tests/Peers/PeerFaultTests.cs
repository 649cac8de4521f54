using System.Net;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Peers;

public sealed class PeerFaultTests
{
    private static readonly byte[] Key = "key"u8.ToArray();

    [Fact]
    public void Bytes_that_were_changed_on_the_way_never_leave_and_are_reported()
    {
        var payload = TestBytes.Payload(1, 300_000);
        using var liar = new ScriptedPeer(get =>
        {
            var bytes = get.SendHead(payload);
            bytes[200_000] ^= 4;
            get.Socket.Send(bytes);
        });
        using var honest = new ScriptedPeer(get => get.Send(payload));
        using var mesh = new TestMesh();
        var first = mesh.Join(liar.Endpoint);
        mesh.Place(Key, first);

        Assert.Null(mesh.Read(Key));
        Eventually.HoldsBlocking(() => liar.Reports.Contains(Convert.ToHexStringLower(Key)), "the report of the wrong bytes");
        Assert.Equal(1, mesh.Here.Engine.Snapshot().FarTiers[0].Mismatches);

        mesh.Place(Key, first, mesh.Join(honest.Endpoint));
        Assert.Equal(payload, mesh.Read(Key));
        Assert.Equal(2, liar.Gets);
    }

    [Fact]
    public void A_holder_that_dies_in_the_middle_is_replaced_by_another()
    {
        var payload = TestBytes.Payload(1, 1 << 20);
        using var dying = new ScriptedPeer(get =>
        {
            get.Socket.Send(get.SendHead(payload).AsSpan(0, 400_000));
            get.Socket.Shutdown();
        });
        using var other = new ScriptedPeer(get => get.Send(payload));
        using var mesh = new TestMesh();
        var first = mesh.Join(dying.Endpoint);
        var second = mesh.Join(other.Endpoint);
        mesh.Place(Key, first, second);

        Assert.Equal(payload, mesh.Read(Key));
        Assert.Equal(1, mesh[first].Failures);

        // What had come and was right is not asked for again.
        Assert.Equal(payload.Length - (400_000 / 65536 * 65536), mesh[second].HitBytes);
    }

    [Fact]
    public void A_holder_that_dies_in_the_middle_is_a_miss_when_there_is_no_other()
    {
        var payload = TestBytes.Payload(1, 1 << 20);
        using var dying = new ScriptedPeer(get =>
        {
            get.Socket.Send(get.SendHead(payload).AsSpan(0, 400_000));
            get.Socket.Shutdown();
        });
        using var mesh = new TestMesh();
        mesh.Place(Key, mesh.Join(dying.Endpoint));

        Assert.Null(mesh.Read(Key));
        Assert.Equal(0, mesh.Here.Engine.Snapshot().Arenas.Sum(arena => arena.AllocatedBytes));
    }

    [Fact]
    public void A_silent_holder_costs_its_deadline_and_is_left_alone()
    {
        using var silent = new ScriptedPeer(ScriptedPeer.Hang);
        using var mesh = new TestMesh(
            options =>
            {
                options.FirstHedge = TimeSpan.Zero;
                options.Breaker.ShortestBreak = Eventually.Patience;
                options.Breaker.LongestBreak = Eventually.Patience;
            },
            deadline: TimeSpan.FromMilliseconds(100));
        var number = mesh.Join(silent.Endpoint);
        mesh.Place(Key, number);

        Eventually.HoldsBlocking(() => mesh.Read(Key) is null && !mesh[number].IsClosed, "the open breaker");
        var failures = mesh[number].Failures;

        Assert.Null(mesh.Read(Key));
        Assert.False(mesh.Here.Engine.ExistsAnywhere(mesh.Here.Tenant, Key, mesh.Here.Leases, TimeSpan.Zero));
        Assert.Equal(failures, mesh[number].Failures);
    }

    [Fact]
    public void A_silent_holder_is_overtaken_by_another()
    {
        var payload = TestBytes.Payload(1, 100_000);
        using var silent = new ScriptedPeer(ScriptedPeer.Hang);
        using var other = new ScriptedPeer(get => get.Send(payload));
        using var mesh = new TestMesh(options => options.FirstHedge = TimeSpan.FromMilliseconds(5));
        var first = mesh.Join(silent.Endpoint);
        var second = mesh.Join(other.Endpoint);
        mesh.Place(Key, first, second);

        Assert.Equal(payload, mesh.Read(Key));
        Assert.Equal((1L, 1L), (mesh[second].Hits, mesh[second].Hedges));
    }

    [Fact]
    public void A_holder_that_loses_again_and_again_is_left_alone()
    {
        var payload = TestBytes.Payload(1, 1000);
        using var silent = new ScriptedPeer(ScriptedPeer.Hang);
        using var other = new ScriptedPeer(get => get.Send(payload));
        using var mesh = new TestMesh(options =>
        {
            options.FirstHedge = options.ShortestHedge = TimeSpan.FromMilliseconds(1);
            options.Breaker.ShortestBreak = options.Breaker.LongestBreak = Eventually.Patience;
        });
        var first = mesh.Join(silent.Endpoint);
        var second = mesh.Join(other.Endpoint);
        for (byte index = 0; index < 20; index++)
        {
            mesh.Place([index], first, second);
            Assert.Equal(payload, mesh.Read([index]));
        }

        Assert.False(mesh[first].IsClosed);
        Assert.True(mesh[second].IsClosed);
    }

    [Fact]
    public void A_holder_that_drips_is_overtaken_in_the_middle()
    {
        var payload = TestBytes.Payload(1, 500_000);
        using var dripping = new ScriptedPeer(get =>
        {
            var bytes = get.SendHead(payload);
            for (var sent = 0; sent < bytes.Length && !get.Peer.Ended.Wait(TimeSpan.FromSeconds(sent == 0 ? 0 : 1)); sent++)
            {
                get.Socket.Send(bytes.AsSpan(sent, 1));
            }
        });
        using var other = new ScriptedPeer(get => get.Send(payload));
        using var mesh = new TestMesh(options => options.FirstHedge = TimeSpan.FromMilliseconds(50));
        mesh.Place(Key, mesh.Join(dripping.Endpoint), mesh.Join(other.Endpoint));

        Assert.Equal(payload, mesh.Read(Key));
    }

    [Fact]
    public void A_holder_that_drips_is_a_miss_at_the_deadline_when_there_is_no_other()
    {
        var payload = TestBytes.Payload(1, 500_000);
        using var dripping = new ScriptedPeer(get =>
        {
            var bytes = get.SendHead(payload);
            for (var sent = 0; sent < bytes.Length && !get.Peer.Ended.Wait(TimeSpan.FromSeconds(1)); sent++)
            {
                get.Socket.Send(bytes.AsSpan(sent, 1));
            }
        });
        using var mesh = new TestMesh(deadline: TimeSpan.FromMilliseconds(200));
        mesh.Place(Key, mesh.Join(dripping.Endpoint));

        Eventually.HoldsBlocking(
            () => mesh.Read(Key) is null && mesh.Here.Engine.Snapshot().FarTiers[0].Failures > 0, "a read that was given up");
        Assert.Equal(0, mesh.Here.Engine.Snapshot().FarTiers[0].Hits);
    }

    [Fact]
    public void An_answer_that_makes_no_sense_is_a_miss()
    {
        using var mad = new ScriptedPeer(get => get.Socket.Send(TestBytes.Payload(1, 5000)));
        using var mesh = new TestMesh();
        var number = mesh.Join(mad.Endpoint);
        mesh.Place(Key, number);

        Assert.Null(mesh.Read(Key));
        Assert.Equal(1, mesh[number].Failures);
    }

    [Fact]
    public async Task The_breaker_of_a_dead_node_opens_and_closes_by_itself()
    {
        await using var node = new PeerNode();
        using var mesh = new TestMesh(options =>
        {
            options.Breaker.ShortestBreak = TimeSpan.FromMilliseconds(500);
            options.Breaker.LongestBreak = TimeSpan.FromSeconds(1);
        });
        var number = mesh.Join(node.Endpoint);
        mesh.Place(Key, number);
        node.Engine.PutContent(Key, [1, 2, 3]);
        await node.CutOffAsync();

        await Eventually.Holds(() => mesh.Read(Key) is null && !mesh[number].IsClosed, "the open breaker");
        node.Serve();

        await Eventually.Holds(() => mesh.Read(Key) is not null, "the block, after the node was back");
        Assert.True(mesh[number].IsClosed);
    }

    [Fact]
    public void A_node_that_nobody_can_reach_is_a_miss()
    {
        using var mesh = new TestMesh();
        var number = mesh.Join(new IPEndPoint(IPAddress.Loopback, FreePort.Next()));
        mesh.Place(Key, number);

        Assert.Null(mesh.Read(Key));
        Assert.Equal(1, mesh[number].Failures);
    }
}
