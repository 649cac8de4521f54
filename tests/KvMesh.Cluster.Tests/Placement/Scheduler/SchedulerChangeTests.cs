using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

/// <summary>What becomes of orders, of the pause and of what operators did when another node plans.</summary>
public sealed class SchedulerChangeTests : IAsyncLifetime
{
    private const int Count = 40;

    private readonly Fleet _fleet = Fleet.Of("a", "b", "c");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _fleet.DisposeAsync();

    [Fact]
    public async Task An_order_of_a_scheduler_that_is_gone_is_closed_as_lost_dropped_by_its_node_and_ordered_again()
    {
        var (first, desk) = await BeginAsync("a");
        await ParkForAsync("c");
        var open = await OpenOrderAsync(desk);
        await first.DisposeAsync();

        var (second, followed) = await BeginAsync("b");
        OrderList list = null!;
        await Eventually.Holds(
            async () => (list = await followed.ListAsync(CancellationToken.None)).Orders.Any(order => order is { Target: "c", State: "open" or "running" } && order.Id > open.Id),
            "a new order in place of the lost one");

        var lost = Assert.Single(list.Orders, order => order.State == "lost");
        Assert.Equal((open.Id, open.Prefix, open.Reason, "c"), (lost.Id, lost.Prefix, lost.Reason, lost.Target));
        Assert.NotNull(lost.EndedAt);
        Assert.Equal(1, second.Figures.LostOrders);
        Assert.Contains(await followed.AuditAsync(CancellationToken.None), line => line is { Actor: "b", Action: "take over" });
        await Eventually.Holds(() => _fleet["c"].Executor.Figures.Ended(OrderKind.Prefetch, OrderState.Cancelled) == 1, "the old order dropped by its node");

        // Nothing is left of the old order that would disturb the new one.
        await ArriveAsync();
        await Eventually.Holds(() => _fleet["c"].Blocks.Count == Count, "every block by the new order");
        await Eventually.Holds(
            async () => (await followed.ListAsync(CancellationToken.None)).Orders.Where(order => order.Id > open.Id).All(order => order.State == "done"), "the new orders done");
    }

    [Fact]
    public async Task What_operators_did_is_still_seen_and_a_pause_still_holds()
    {
        var (first, desk) = await BeginAsync("a");
        await desk.SetPausedAsync(true, "ann", CancellationToken.None);
        await desk.BeginDrainAsync(NodeId.Parse("c"), "bob", CancellationToken.None);
        await desk.EndDrainAsync(NodeId.Parse("c"), "bob", CancellationToken.None);
        await first.DisposeAsync();

        var (_, followed) = await BeginAsync("b");

        Assert.True((await followed.ListAsync(CancellationToken.None)).IsPaused);
        await followed.SetPausedAsync(false, "cid", CancellationToken.None);
        Assert.Equal(
            ["cid resume", "bob undrain", "bob drain", "ann pause"],
            (await followed.AuditAsync(CancellationToken.None)).Select(line => $"{line.Actor} {line.Action}"));
    }

    [Fact]
    public async Task What_an_operator_cancelled_is_not_ordered_again_by_a_follower()
    {
        var (first, desk) = await BeginAsync("a");
        await ParkForAsync("c");
        var open = await OpenOrderAsync(desk);
        Assert.True(await desk.CancelAsync(open.Id, "ann", CancellationToken.None));
        await first.DisposeAsync();

        var (second, followed) = await BeginAsync("b");
        var plans = second.Figures.Plans;
        await Eventually.Holds(() => second.Figures.Plans >= plans + 3, "three plans of the follower");

        var order = Assert.Single((await followed.ListAsync(CancellationToken.None)).Orders);
        Assert.Equal((open.Id, "cancelled", "Cancelled by ann."), (order.Id, order.State, order.Message));
    }

    [Fact]
    public async Task An_operator_is_told_when_the_scheduler_was_followed_and_nothing_is_ordered_any_more()
    {
        var lease = new FixedLease(NodeId.Parse("a"), 100);
        var journal = new EmbeddedPlacementJournal(null, NullLoggerFactory.Instance);
        var scheduler = _fleet.Plan("a", lease, journal: journal);
        await Eventually.Holds(() => scheduler.IsInOffice, "a scheduler in office");
        await journal.ReadAsync(200, CancellationToken.None);

        var refusal = await Assert.ThrowsAsync<PlacementUnavailableException>(
            async () => await new PlacementDesk(scheduler, TimeProvider.System).SetPausedAsync(true, "ann", CancellationToken.None));

        Assert.Contains("does not plan placement any more", refusal.Message, StringComparison.Ordinal);
        Assert.False((await journal.ReadAsync(200, CancellationToken.None))!.IsPaused);
    }

    [Fact]
    public async Task A_silent_journal_delays_a_term_and_does_not_prevent_it_and_hears_all_later()
    {
        var journal = new SilentJournal { IsSilent = true };
        var scheduler = _fleet.Plan("a", new FixedLease(NodeId.Parse("a"), 100), journal: journal);
        await Eventually.Holds(() => scheduler.IsInOffice, "a scheduler in office, without its journal");
        Assert.True(journal.Questions >= 3, $"{journal.Questions} questions");
        var desk = new PlacementDesk(scheduler, TimeProvider.System);

        await desk.SetPausedAsync(true, "ann", CancellationToken.None);
        Assert.True((await desk.ListAsync(CancellationToken.None)).IsPaused);
        await Eventually.Holds(() => scheduler.Figures.Unsaved > 0, "a write that was not taken");

        journal.IsSilent = false;
        await Eventually.Holds(async () => (await journal.ReadAsync(100, CancellationToken.None)) is { IsPaused: true, Audit.Length: 1 }, "the pause and its line in the journal");
    }

    private async Task<(PlacementScheduler Scheduler, PlacementDesk Desk)> BeginAsync(string name)
    {
        var scheduler = _fleet.Plan(name);
        await Eventually.Holds(() => scheduler.IsInOffice, $"{name} in office");
        return (scheduler, new PlacementDesk(scheduler, TimeProvider.System));
    }

    /// <summary>A sequence on a that is to return to a node whose fetches wait for the test.</summary>
    private async Task ParkForAsync(string name)
    {
        _fleet[name].Blocks.Source = null;
        for (var index = 0; index < Count; index++)
        {
            _fleet["a"].Blocks.Put(Key(index), index == 0 ? null : Key(index - 1));
        }

        var id = new SequenceId("t", "chat");
        var opened = await _fleet.Sequences.ExecuteAsync(id, SequenceCommands.Open(), CancellationToken.None);
        Assert.True(opened.IsOk, opened.Text);
        var appended = await _fleet.Sequences.ExecuteAsync(id, SequenceCommands.Append(opened.Info!.Epoch, 0, Count), CancellationToken.None);
        Assert.True(appended.IsOk, appended.Text);
        var parked = await _fleet.Sequences.ExecuteAsync(
            id, new ParkSequence { Epoch = opened.Info.Epoch, NextHolder = name, ReturnAt = DateTimeOffset.UtcNow.AddSeconds(50).ToUnixTimeMilliseconds() },
            CancellationToken.None);
        Assert.True(parked.IsOk, parked.Text);
    }

    private static async Task<OrderStatus> OpenOrderAsync(PlacementDesk desk)
    {
        OrderStatus? open = null;
        await Eventually.Holds(
            async () => (open = (await desk.ListAsync(CancellationToken.None)).Orders.FirstOrDefault(order => order is { Kind: "prefetch", Target: "c", State: "running" })) is not null,
            "an order that its node carries out");
        return open!;
    }

    /// <summary>Lets every fetch of c come, also those that are asked for meanwhile.</summary>
    private Task ArriveAsync()
    {
        var blocks = _fleet["c"].Blocks;
        return Eventually.Holds(
            () =>
            {
                while (blocks.Waiting.TryDequeue(out var fetch))
                {
                    blocks.Put(Convert.FromHexString(fetch.Key));
                    fetch.Complete(Cluster.Placement.Nodes.BlockArrival.Came);
                }

                return blocks.Count == Count;
            },
            "every block brought");
    }

    private static ReadOnlyMemory<byte> Key(int index) => SequenceCommands.Scope.KeyOf(SequenceCommands.Hash(index + 1).ToArray());

    /// <summary>A lease that is held for good.</summary>
    private sealed class FixedLease(NodeId holder, long token) : ISchedulerLease
    {
        public TimeSpan Duration => TimeSpan.FromMilliseconds(300);

        public ValueTask<LeaseHolding> HoldAsync(CancellationToken cancellationToken) => ValueTask.FromResult(new LeaseHolding(true, token, holder));

        public ValueTask ReleaseAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class SilentJournal : IPlacementJournal
    {
        private readonly EmbeddedPlacementJournal _journal = new(null, NullLoggerFactory.Instance);
        private int _questions;

        public volatile bool IsSilent;

        public int Questions => Volatile.Read(ref _questions);

        public ValueTask<JournalPage?> ReadAsync(long token, CancellationToken cancellationToken) => Ask(() => _journal.ReadAsync(token, cancellationToken));

        public ValueTask<bool> WriteAsync(long token, JournalChange change, CancellationToken cancellationToken) =>
            Ask(() => _journal.WriteAsync(token, change, cancellationToken));

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private ValueTask<T> Ask<T>(Func<ValueTask<T>> ask)
        {
            Interlocked.Increment(ref _questions);
            return IsSilent ? throw new StoreSilentException("It is silent.") : ask();
        }
    }
}
