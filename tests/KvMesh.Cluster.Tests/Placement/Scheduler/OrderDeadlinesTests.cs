using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

public sealed class OrderDeadlinesTests
{
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(30);

    private readonly SimulatedClock _clock = new();
    private readonly OrderDeadlines _deadlines;

    public OrderDeadlinesTests() => _deadlines = new OrderDeadlines(Least, _clock);

    [Fact]
    public void An_order_counts_as_lost_after_eight_times_what_all_of_its_node_should_take_and_the_least_time()
    {
        OrderEntry[] open = [Entry(1, "a", 2), Entry(2, "a", 3), Entry(3, "b", 0)];
        _deadlines.NoteOpened(open, open);

        _clock.Advance(Least - TimeSpan.FromTicks(1));
        Assert.All(open, entry => Assert.Null(_deadlines.WhyLost(entry)));
        _clock.Advance(TimeSpan.FromTicks(1));
        Assert.Contains("b brought nothing for 30 s", _deadlines.WhyLost(open[2]), StringComparison.Ordinal);
        Assert.Null(_deadlines.WhyLost(open[0]));
        _clock.Advance(TimeSpan.FromSeconds(40));
        Assert.All(open, entry => Assert.NotNull(_deadlines.WhyLost(entry)));
    }

    [Fact]
    public void While_its_node_brings_anything_an_order_waits()
    {
        OrderEntry[] open = [Entry(1, "a", 0), Entry(2, "a", 0)];
        _deadlines.NoteOpened(open, open);

        for (var step = 0; step < 50; step++)
        {
            _clock.Advance(Least - TimeSpan.FromSeconds(1));
            _deadlines.NoteProgress(NodeId.Parse("a"));
            Assert.Null(_deadlines.WhyLost(open[1]));
        }

        _clock.Advance(Least);
        Assert.NotNull(_deadlines.WhyLost(open[1]));
    }

    [Fact]
    public void A_node_hears_of_lost_orders_until_it_has_answered_or_its_run_is_gone()
    {
        var node = new NodeRecord { Id = NodeId.Parse("a"), Incarnation = 7, NativeAddress = "a:1" };
        var view = new ClusterView(1, [node], isFrozen: false);
        _deadlines.NoteUnheard(node, 1);
        _deadlines.NoteUnheard(node, 2);

        var (found, ids) = Assert.Single(_deadlines.Unheard(view, []));
        Assert.Equal((7, 2), (found.Incarnation, ids.Length));
        _deadlines.NoteHeard(node, 1);
        Assert.Equal([2L], Assert.Single(_deadlines.Unheard(view, [])).Ids);
        Assert.Empty(_deadlines.Unheard(new ClusterView(2, [node with { Incarnation = 8 }], isFrozen: false), []));
        Assert.Empty(_deadlines.Unheard(view, []));
    }

    private static OrderEntry Entry(long id, string target, double cost) => new()
    {
        Id = id,
        State = OrderState.Open,
        OpenedAt = DateTimeOffset.UnixEpoch,
        Order = new PlacementOrder
        {
            Kind = OrderKind.Replicate,
            Prefix = new ChainPrefix { Tenant = "t", Tail = new KeyDigest((ulong)id, 2), Keys = [new byte[] { 1 }], Bytes = 10_000 },
            FirstBlock = 0,
            Blocks = 1,
            Target = NodeId.Parse(target),
            Sources = [NodeId.Parse("z")],
            CostSeconds = cost,
            BenefitSeconds = 1,
            Reason = "",
        },
    };
}
