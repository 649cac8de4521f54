using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement;

public sealed class OrderBookTests
{
    private readonly SimulatedClock _clock = new();
    private readonly OrderBook _book;

    public OrderBookTests() => _book = new OrderBook(_clock);

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

    [Fact]
    public void A_follower_closes_open_orders_as_lost_counts_on_and_has_the_audit()
    {
        var line = new AuditLine(DateTimeOffset.UnixEpoch, "ann", "pause", "all orders");
        var page = new JournalPage([line], true, 8, [Inherited(7, "open"), Inherited(9, "running"), Inherited(3, "cancelled")]);

        Assert.Equal(2, _book.Inherit(page, "b"));

        Assert.Equal([(9L, "lost"), (7L, "lost"), (3L, "cancelled")], _book.Inherited.Select(order => (order.Id, order.State)));
        Assert.True(_book.IsPaused);
        Assert.Equal(["pause", "take over"], _book.Audit().Select(entry => entry.Action));
        _book.SetPaused(false, "ann");
        Assert.Equal(10, Assert.Single(_book.Open(Plan())).Id);

        // Only what is new to the journal is written, and what was lost goes.
        var changes = _book.Unsaved(100)!;
        Assert.Equal(["take over", "resume"], changes.Audit.Select(entry => entry.Action));
        Assert.Equal([7L, 9L], changes.Gone.Order());
        Assert.Equal((10, false), (Assert.Single(changes.Orders).Id, changes.IsPaused));
    }

    [Fact]
    public void What_was_written_is_not_written_again_and_what_changed_meanwhile_is()
    {
        _book.Open(Plan());
        _book.NoteAction("ann", "drain", "a");
        var first = _book.Unsaved(100)!;
        _book.Report(1, OrderState.Done, 8, "");
        _book.NoteAction("ann", "drain", "a");
        _book.SetPaused(true, "ann");

        _book.Saved(first);

        var second = _book.Unsaved(100)!;
        Assert.Equal(["drain", "pause"], second.Audit.Select(entry => entry.Action));
        Assert.Equal([1L], second.Gone.AsEnumerable());
        Assert.Empty(second.Orders);
        Assert.True(second.IsPaused);
        _book.Saved(second);
        Assert.Null(_book.Unsaved(100));
    }

    [Fact]
    public void What_was_cancelled_is_kept_for_a_follower_as_long_as_it_is_not_to_be_ordered_again()
    {
        _book.Open(Plan());
        _book.TryCancel(1, "ann", out _);
        var changes = _book.Unsaved(100)!;
        Assert.Equal(OrderState.Cancelled, Assert.Single(changes.Orders).State);
        _book.Saved(changes);
        Assert.Null(_book.Unsaved(100));

        _clock.Advance(OrderBook.CancelMemory);
        Assert.Equal([1L], _book.Unsaved(100)!.Gone.AsEnumerable());
    }

    [Fact]
    public void A_write_has_a_bound_and_the_next_one_the_rest()
    {
        var scene = new Scene().Node("a").Node("b");
        for (var chain = 1UL; chain <= 5; chain++)
        {
            scene.Prefix(chain, 8, "a:8", "b:1");
        }

        var opened = _book.Open(scene.Plan()).Count;
        Assert.True(opened > 3, $"{opened} orders");
        var first = _book.Unsaved(3)!;
        _book.Saved(first);

        Assert.Equal(opened, first.Orders.Length + _book.Unsaved(100)!.Orders.Length);
    }

    private OrderStatus Inherited(long id, string state) =>
        new(id, "replicate", state, "t", "00", 0, 8, "b", ["a"], 8_000, 0, 1, 2, "", DateTimeOffset.UnixEpoch, state == "cancelled" ? _clock.GetUtcNow() : null, "");

    private static PlacementPlan Plan() => new Scene().Node("a").Node("b").Prefix(1, 8, "a:8", "b:1").Plan();
}
