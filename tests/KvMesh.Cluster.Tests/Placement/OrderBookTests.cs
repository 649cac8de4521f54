using KvMesh.Cluster.Placement;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement;

public sealed class OrderBookTests
{
    private readonly OrderBook _book = new(new SimulatedClock());

    [Fact]
    public void An_order_that_is_open_is_not_given_twice()
    {
        Assert.Equal(1, Assert.Single(_book.Open(Plan())).Id);
        Assert.Empty(_book.Open(Plan()));

        _book.Report(1, OrderState.Running, 5, "");
        Assert.Empty(_book.Open(Plan()));

        _book.Report(1, OrderState.Done, 8, "");
        Assert.Equal(2, Assert.Single(_book.Open(Plan())).Id);
        Assert.Equal([(2L, OrderState.Open), (1L, OrderState.Done)], _book.List().Select(entry => (entry.Id, entry.State)));
    }

    [Fact]
    public void An_order_that_ended_stays_as_it_ended()
    {
        _book.Open(Plan());
        Assert.True(_book.TryCancel(1, "ann", out _));

        _book.Report(1, OrderState.Done, 8, "");

        Assert.Equal(OrderState.Cancelled, Assert.Single(_book.List()).State);
        Assert.False(_book.TryCancel(1, "ann", out _));
    }

    [Fact]
    public void Nothing_is_opened_while_paused_and_every_act_leaves_a_line()
    {
        _book.SetPaused(true, "ann");
        Assert.Empty(_book.Open(Plan()));

        _book.SetPaused(false, "bob");
        Assert.Single(_book.Open(Plan()));
        _book.TryCancel(1, "bob", out _);

        Assert.Equal(["ann pause", "bob resume", "bob cancel"], _book.Audit().Select(line => $"{line.Actor} {line.Action}"));
    }

    [Fact]
    public void Ended_orders_are_forgotten_beyond_the_bound()
    {
        for (var id = 1; id <= OrderBook.MaxEnded + 5; id++)
        {
            _book.Open(Plan());
            _book.Report(id, OrderState.Done, 0, "");
        }

        Assert.Equal(OrderBook.MaxEnded, _book.List().Length);
        Assert.Equal(OrderBook.MaxEnded + 5, _book.List()[0].Id);
    }

    private static PlacementPlan Plan() => new Scene().Node("a").Node("b").Prefix(1, 8, "a:8", "b:1").Plan();
}
