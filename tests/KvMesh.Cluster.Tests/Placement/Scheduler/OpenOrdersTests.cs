using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

public sealed class OpenOrdersTests
{
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(10);

    private readonly SimulatedClock _clock = new();
    private readonly OrderBook _book;

    public OpenOrdersTests() => _book = new OrderBook(_clock);

    [Fact]
    public void What_is_left_of_a_run_that_is_on_its_way_is_on_its_way_too()
    {
        var order = Assert.Single(_book.Open(Plan()), entry => entry.Order.Target == Scene.Id("b")).Order;
        Assert.Equal((0, 8), (order.FirstBlock, order.Blocks));

        Assert.Equal([new Holding(Scene.Id("b"), 0, 8)], Open().ComingFor(order.Prefix).AsEnumerable());
        Assert.Equal([new Holding(Scene.Id("b"), 0, 3)], Open().ComingFor(Last(order.Prefix, 3)).AsEnumerable());
    }

    [Fact]
    public void A_part_of_it_that_has_come_is_counted_from_the_end_of_the_prefix()
    {
        var prefix = Plan().Orders[0].Prefix;
        var part = Plan().Orders[0] with { FirstBlock = 2, Blocks = 4 };
        _book.Open(new PlacementPlan([part], []));
        _book.Report(1, OrderState.Done, 8, "");

        Assert.Equal([new Holding(Scene.Id("b"), 2, 4)], Open().ComingFor(prefix).AsEnumerable());
        Assert.Equal([new Holding(Scene.Id("b"), 0, 1)], Open().ComingFor(Last(prefix, 3)).AsEnumerable());
        Assert.Empty(Open().ComingFor(Last(prefix, 2)));

        // Once the map has heard of it, the map alone counts.
        _clock.Advance(Memory);
        Assert.Empty(Open().ComingFor(prefix));
    }

    [Fact]
    public void A_node_that_could_not_take_a_run_is_not_asked_for_the_rest_of_it_at_once()
    {
        var order = _book.Open(Plan())[0].Order;
        _book.Report(1, OrderState.Failed, 0, "no room");

        Assert.Equal([Scene.Id("b")], Open().BarredFor(Last(order.Prefix, 3)).AsEnumerable());
        _clock.Advance(Memory);
        Assert.Empty(Open().BarredFor(order.Prefix));
    }

    private OpenOrders Open() => OpenOrders.Of(_book, _clock.GetUtcNow(), Memory);

    private static ChainPrefix Last(ChainPrefix prefix, int blocks) =>
        prefix with { Keys = [.. prefix.Keys.TakeLast(blocks)], Bytes = prefix.BytesOf(blocks) };

    private static PlacementPlan Plan() => new Scene().Node("a").Node("b").Prefix(1, 8, "a:8", "b:1").Plan();
}
