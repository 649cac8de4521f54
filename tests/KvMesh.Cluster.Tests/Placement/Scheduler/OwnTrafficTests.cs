using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

public sealed class OwnTrafficTests
{
    private readonly SimulatedClock _clock = new();

    [Fact]
    public void Bytes_of_orders_count_for_their_sources_alike_and_for_one_look()
    {
        var traffic = new OwnTraffic(_clock);
        traffic.Note(Order("a", "b"), 4_000);
        traffic.Note(Order("a"), 1_000);
        traffic.Note(Order("c"), -5);
        _clock.Advance(TimeSpan.FromSeconds(2));
        traffic.Look();

        Assert.Equal(1_500, traffic.BytesPerSecondOf(NodeId.Parse("a")));
        Assert.Equal(1_000, traffic.BytesPerSecondOf(NodeId.Parse("b")));
        Assert.Equal(0, traffic.BytesPerSecondOf(NodeId.Parse("c")));

        _clock.Advance(TimeSpan.FromSeconds(2));
        traffic.Look();
        Assert.Equal(0, traffic.BytesPerSecondOf(NodeId.Parse("a")));
    }

    [Fact]
    public void Keys_are_equal_by_their_bytes()
    {
        var one = new TailName("t", new byte[] { 1, 2, 3 }, 4);

        Assert.Equal(one, new TailName("t", new byte[] { 0, 1, 2, 3 }.AsMemory(1), 4));
        Assert.Equal(one.GetHashCode(), new TailName("t", new byte[] { 0, 1, 2, 3 }.AsMemory(1), 4).GetHashCode());
        Assert.NotEqual(one, new TailName("t", new byte[] { 1, 2, 4 }, 4));
        Assert.NotEqual(one, new TailName("u", new byte[] { 1, 2, 3 }, 4));
        Assert.NotEqual(one, new TailName("t", new byte[] { 1, 2, 3 }, 5));
        Assert.True(KeyBytes.Order.Compare(new byte[] { 1, 2 }, new byte[] { 1, 3 }) < 0);
    }

    private static PlacementOrder Order(params string[] sources) => new()
    {
        Kind = OrderKind.Replicate,
        Prefix = new ChainPrefix { Tenant = "t", Tail = new KeyDigest(1, 2), Keys = [new byte[] { 1 }], Bytes = 10_000 },
        FirstBlock = 0,
        Blocks = 1,
        Target = NodeId.Parse("z"),
        Sources = [.. sources.Select(NodeId.Parse)],
        CostSeconds = 1,
        BenefitSeconds = 1,
        Reason = "",
    };
}
