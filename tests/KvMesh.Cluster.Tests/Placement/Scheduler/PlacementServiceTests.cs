using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Cluster.Tests.Placement.Scheduler;

public sealed class PlacementServiceTests : IAsyncLifetime
{
    private const int Count = 8;

    private Fleet _fleet = null!;

    private SequenceId Chat => new("t", "chat");

    public Task InitializeAsync()
    {
        _fleet = Fleet.Of("a", "b", "c");
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _fleet.DisposeAsync();

    [Fact]
    public async Task A_pin_is_held_when_its_copies_were_verified_and_whole_again_after_a_loss()
    {
        await PinAsync("a", replicas: 2);
        _fleet.Plan("b");

        await PinBecomesAsync(PinState.Held, 2);
        var holders = HoldersOfAll();
        Assert.Equal(2, holders.Length);
        Assert.All(holders, name => Assert.Equal(Count, _fleet[name].Blocks.Held.Count));

        _fleet["a"].IsUp = false;
        await Eventually.Holds(() => HoldersOfAll() is ["b", "c"], "all blocks on the two nodes that are left");
        await PinBecomesAsync(PinState.Held, 2);
    }

    [Fact]
    public async Task Copies_of_an_earlier_life_of_a_name_hold_no_pin_of_this_one()
    {
        const int Others = 100;
        await PinAsync("a", replicas: 2);
        var scheduler = _fleet.Plan("b");
        await PinBecomesAsync(PinState.Held, 2);

        var closed = await _fleet.Sequences.ExecuteAsync(Chat, new CloseSequence(), CancellationToken.None);
        Assert.True(closed.IsOk, closed.Text);
        var epoch = await OpenAsync(Others);
        var pinned = await _fleet.Sequences.ExecuteAsync(Chat, new PinSequence { Epoch = epoch, Replicas = 2, Until = Later() }, CancellationToken.None);
        Assert.True(pinned.IsOk, pinned.Text);
        var plans = scheduler.Figures.Plans;
        await Eventually.Holds(() => scheduler.Figures.Plans >= plans + 4, "four steps more");
        Assert.Equal(PinState.Pending, (await _fleet.Sequences.FindAsync(Chat, CancellationToken.None)).Info!.Pin.State);

        PutChain("c", Others);
        await PinBecomesAsync(PinState.Held, 2);
        Assert.Equal(2, HoldersOfAll(Others).Length);
    }

    [Fact]
    public async Task A_pin_with_fewer_nodes_than_copies_stays_pending_and_says_how_many_there_are()
    {
        await PinAsync("a", replicas: 4);
        _fleet.Plan("c");

        await PinBecomesAsync(PinState.Pending, 3);
    }

    [Fact]
    public async Task A_pin_of_more_copies_than_a_reader_needs_is_held_and_nothing_is_ordered_again()
    {
        await _fleet.DisposeAsync();
        _fleet = Fleet.Of("a", "b", "c", "d", "e", "f", "g");
        await PinAsync("a", replicas: 6);
        var first = _fleet.Plan("c");
        await PinBecomesAsync(PinState.Held, 6);
        Assert.Equal(6, HoldersOfAll().Length);

        // A scheduler without a memory of orders that were carried out.
        await first.DisposeAsync();
        var second = _fleet.Plan("d");
        await Eventually.Holds(() => second.Figures.Plans >= 4, "some plans");
        Assert.Empty(second.Figures.Orders);
        await PinBecomesAsync(PinState.Held, 6);
    }

    [Fact]
    public async Task A_holder_without_room_to_keep_is_replaced_by_a_node_that_has_some()
    {
        PutChain("b");
        _fleet["b"].Blocks.MaxHeld = Count - 1;
        await PinAsync("a", replicas: 2);
        _fleet.Plan("b");

        await PinBecomesAsync(PinState.Held, 2);
        Assert.Equal(Count, _fleet["c"].Blocks.Held.Count);
    }

    [Fact]
    public async Task Where_no_node_has_room_a_pin_stays_pending_and_few_nodes_are_tried()
    {
        await _fleet.DisposeAsync();
        string[] names = [.. Enumerable.Range(0, 12).Select(index => $"n{index:00}")];
        _fleet = Fleet.Of(names);
        foreach (var name in names[1..])
        {
            _fleet[name].Blocks.MaxHeld = 0;
        }

        await PinAsync("n00", replicas: 2);
        var scheduler = _fleet.Plan("n11");
        await PinBecomesAsync(PinState.Pending, 1);
        var plans = scheduler.Figures.Plans;
        await Eventually.Holds(() => scheduler.Figures.Plans >= plans + 15, "many plans more");
        Assert.InRange(HoldersOfAll().Length, 2, 8);
    }

    [Fact]
    public async Task A_sequence_of_many_segments_is_pinned()
    {
        const int Segments = 10_000;
        var opened = await _fleet.Sequences.ExecuteAsync(Chat, SequenceCommands.Open(), CancellationToken.None);
        for (var block = 0; block < Segments; block++)
        {
            _fleet["a"].Blocks.Put(Key(block));
            var appended = await _fleet.Sequences.ExecuteAsync(Chat, SequenceCommands.Append(opened.Info!.Epoch, block, blocks: 1), CancellationToken.None);
            Assert.True(appended.IsOk, appended.Text);
        }

        await _fleet.Sequences.ExecuteAsync(Chat, new PinSequence { Replicas = 1, Until = Later() }, CancellationToken.None);
        _fleet.Plan("a");

        await PinBecomesAsync(PinState.Held, 1);
        Assert.Equal(Segments, _fleet["a"].Blocks.Held.Count);
    }

    [Fact]
    public async Task A_scheduler_whose_step_failed_stops_at_once()
    {
        _fleet["b"].IsBroken = true;
        var scheduler = _fleet.Plan("a", options: new PlacementServiceOptions { Step = TimeSpan.FromHours(1) });
        await Eventually.Holds(() => scheduler.Figures.FailedSteps > 0, "a step failed");

        await scheduler.DisposeAsync().AsTask().Within("the end of the scheduler");
    }

    [Fact]
    public async Task A_block_that_goes_from_a_holder_is_noticed_and_brought_back()
    {
        await PinAsync("a", replicas: 2);
        _fleet.Plan("a");
        await PinBecomesAsync(PinState.Held, 2);

        var holder = HoldersOfAll().First(name => name != "a");
        _fleet[holder].Blocks.Remove(Key(3));

        await Eventually.Holds(() => HoldersOfAll().Length >= 2, "two whole copies again");
        await PinBecomesAsync(PinState.Held, 2);
    }

    [Fact]
    public async Task A_parked_sequence_is_brought_to_where_it_returns()
    {
        PutChain("a");
        var epoch = await OpenAsync();
        await _fleet.Sequences.ExecuteAsync(
            Chat, new ParkSequence { Epoch = epoch, NextHolder = "c", ReturnAt = DateTimeOffset.UtcNow.AddSeconds(30).ToUnixTimeMilliseconds() }, CancellationToken.None);
        _fleet.Plan("b");

        await Eventually.Holds(() => _fleet["c"].Blocks.Count == Count, "all blocks where the sequence returns");
        Assert.Equal(0, _fleet["b"].Blocks.Count);
    }

    [Fact]
    public async Task A_parked_sequence_whose_return_nobody_named_is_brought_to_its_next_holder_when_it_usually_comes_back()
    {
        PutChain("a");
        var epoch = await OpenAsync();
        for (var turn = 0; turn < 2; turn++)
        {
            Assert.True((await _fleet.Sequences.ExecuteAsync(Chat, new ParkSequence { Epoch = epoch, NextHolder = "c" }, CancellationToken.None)).IsOk);
            epoch = (await _fleet.Sequences.ExecuteAsync(Chat, new ResumeSequence { Holder = "c" }, CancellationToken.None)).Info!.Epoch;
        }

        var scheduler = _fleet.Plan("b");
        var plans = scheduler.Figures.Plans;
        await Eventually.Holds(() => scheduler.Figures.Plans >= plans + 3, "three plans while it is not parked");
        Assert.Equal(0, _fleet["c"].Blocks.Count);

        Assert.True((await _fleet.Sequences.ExecuteAsync(Chat, new ParkSequence { Epoch = epoch, NextHolder = "c" }, CancellationToken.None)).IsOk);

        await Eventually.Holds(() => _fleet["c"].Blocks.Count == Count, "all blocks where the sequence returns");
        Assert.Equal(0, _fleet["b"].Blocks.Count);
        await Eventually.Holds(
            async () => (await new PlacementDesk(scheduler, TimeProvider.System).ListAsync(CancellationToken.None)).Orders
                .Any(order => order is { Kind: "prefetch", Target: "c", State: "done" } && order.Reason.Contains("by its earlier rests", StringComparison.Ordinal)),
            "the order and its reason");
    }

    [Fact]
    public async Task A_node_that_drains_is_emptied_and_verified()
    {
        PutChain("a");
        var scheduler = _fleet.Plan("b");
        var desk = new PlacementDesk(scheduler, TimeProvider.System);
        await Eventually.Holds(() => scheduler.IsInOffice, "a scheduler in office");

        Assert.Equal("draining", (await desk.BeginDrainAsync(NodeId.Parse("a"), "ops", CancellationToken.None))!.State);
        await Eventually.Holds(
            async () => (await desk.DrainProgressAsync(NodeId.Parse("a"), CancellationToken.None)) is { State: "drained", BlocksLeft: 0, Blocks: Count }, "the node drained");

        Assert.Equal(Count, Math.Max(_fleet["b"].Blocks.Count, _fleet["c"].Blocks.Count));
        Assert.Contains(await desk.AuditAsync(CancellationToken.None), line => line is { Actor: "ops", Action: "drain", Subject: "a" });
        Assert.Null(await desk.BeginDrainAsync(NodeId.Parse("nobody"), "ops", CancellationToken.None));
        Assert.Equal("active", (await desk.EndDrainAsync(NodeId.Parse("a"), "ops", CancellationToken.None))!.State);
    }

    [Fact]
    public async Task While_paused_a_plan_is_shown_and_nothing_moves()
    {
        PutChain("a");
        var scheduler = _fleet.Plan("b");
        var desk = new PlacementDesk(scheduler, TimeProvider.System);
        await Eventually.Holds(() => scheduler.IsInOffice, "a scheduler in office");
        await desk.SetPausedAsync(true, "ops", CancellationToken.None);
        var epoch = await OpenAsync();
        await _fleet.Sequences.ExecuteAsync(Chat, new PinSequence { Epoch = epoch, Replicas = 2, Until = Later() }, CancellationToken.None);

        await Eventually.Holds(
            async () => (await desk.PlanAsync(CancellationToken.None)).Orders.Any(order => order is { Kind: "restore-pin", State: "planned" }), "the order in the plan");
        var list = await desk.ListAsync(CancellationToken.None);
        Assert.True(list.IsPaused);
        Assert.Empty(list.Orders);
        Assert.Equal(Count, _fleet["a"].Blocks.Count + _fleet["b"].Blocks.Count + _fleet["c"].Blocks.Count);

        await desk.SetPausedAsync(false, "ops", CancellationToken.None);
        await PinBecomesAsync(PinState.Held, 2);
    }

    [Fact]
    public async Task Orders_stay_paused_under_another_scheduler()
    {
        var first = _fleet.Plan("a");
        await Eventually.Holds(() => first.IsInOffice, "a scheduler in office");
        await new PlacementDesk(first, TimeProvider.System).SetPausedAsync(true, "ops", CancellationToken.None);

        // Every node has heard of it when a step has begun and ended since.
        var plans = first.Figures.Plans;
        await Eventually.Holds(() => first.Figures.Plans >= plans + 2, "two steps more");
        await first.DisposeAsync();
        var second = _fleet.Plan("b");

        await Eventually.Holds(
            async () => second.IsInOffice && (await new PlacementDesk(second, TimeProvider.System).ListAsync(CancellationToken.None)).IsPaused, "the pause under the second scheduler");
    }

    [Fact]
    public async Task A_deposed_scheduler_ends_its_term_and_its_orders_are_refused()
    {
        PutChain("a");
        var lease = new FixedLease(NodeId.Parse("b"), 100);
        var scheduler = _fleet.Plan("b", lease);
        await Eventually.Holds(() => scheduler.IsInOffice, "a scheduler in office");

        // Its successor was heard of by one node only.
        _fleet["c"].Node.Report(new NodeReportRequest(200, false));
        Assert.Equal(OrderVerdict.StaleToken, _fleet["c"].Node.Give(new OrderGiveRequest(100, 1, 1, "t", [Key(0)])).Verdict);
        Assert.Equal(OrderVerdict.StaleToken, _fleet["c"].Node.Hold(new HoldRequest(100, TimeSpan.FromMinutes(1), "t", [Key(0)])).Verdict);
        Assert.True(_fleet["c"].Node.Drain(new DrainRequest(100, DrainAction.Begin)).IsStale);

        lease.IsLost = true;
        await Eventually.Holds(() => lease.Refusals > 0 && !scheduler.IsInOffice, "the deposed scheduler out of office, and no new term of its own");
        await Assert.ThrowsAsync<PlacementUnavailableException>(
            async () => await new PlacementDesk(scheduler, TimeProvider.System).ListAsync(CancellationToken.None));
        Assert.True(_fleet["c"].Executor.Figures.Refused >= 3);
    }

    [Fact]
    public async Task A_node_that_hangs_holds_nobody_up()
    {
        await PinAsync("a", replicas: 2);
        _fleet["c"].IsHanging = true;
        var scheduler = _fleet.Plan("b");

        await PinBecomesAsync(PinState.Held, 2);
        await Eventually.Holds(() => scheduler.Figures.SilentNodes > 0, "the silent node in the figures");
        Assert.Equal(0, scheduler.Figures.FailedSteps);
    }

    [Fact]
    public async Task An_order_whose_node_does_not_say_how_far_it_is_counts_as_lost_and_is_cancelled_when_it_does()
    {
        // Nothing comes, and nobody hears that it does not.
        foreach (var name in new[] { "b", "c" })
        {
            _fleet[name].Blocks.Source = null;
            _fleet[name].IsMuteOnOrders = true;
        }

        await PinAsync("a", replicas: 2);
        var scheduler = _fleet.Plan("a", options: new PlacementServiceOptions
        {
            Step = TimeSpan.FromMilliseconds(100),
            CallTimeout = TimeSpan.FromMilliseconds(20),
            OrderPatience = TimeSpan.FromMilliseconds(400),
        });
        var desk = new PlacementDesk(scheduler, TimeProvider.System);
        await Eventually.Holds(
            async () => scheduler.IsInOffice
                && (await desk.ListAsync(CancellationToken.None)).Orders.Any(order => order.State == "failed" && order.Message.Contains("counts as lost", StringComparison.Ordinal)),
            "an order that counts as lost");

        _fleet["b"].IsMuteOnOrders = _fleet["c"].IsMuteOnOrders = false;

        await Eventually.Holds(
            () => _fleet["b"].Executor.Figures.Ended(OrderKind.RestorePin, OrderState.Cancelled) + _fleet["c"].Executor.Figures.Ended(OrderKind.RestorePin, OrderState.Cancelled) > 0,
            "the node told that its order is over");
    }

    [Fact]
    public async Task While_a_node_reads_a_pin_back_plans_are_made_and_orders_carried_out()
    {
        await PinAsync("a", replicas: 1);
        var reading = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _fleet["a"].Blocks.HoldsWaitFor = reading.Task;
        try
        {
            var scheduler = _fleet.Plan("b");
            await Eventually.Holds(() => scheduler.Figures.Plans >= 10, "ten plans while the node reads");

            PutChain("c", 500);
            Assert.NotNull(await new PlacementDesk(scheduler, TimeProvider.System).BeginDrainAsync(NodeId.Parse("c"), "ops", CancellationToken.None));
            await Eventually.Holds(() => HoldersOfAll(500).Any(name => name != "c"), "a drained node's blocks elsewhere");
            Assert.Equal(PinState.Pending, (await _fleet.Sequences.FindAsync(Chat, CancellationToken.None)).Info!.Pin.State);
        }
        finally
        {
            reading.SetResult();
        }

        await PinBecomesAsync(PinState.Held, 1);
    }

    [Theory]
    [InlineData("lifted")]
    [InlineData("closed")]
    [InlineData("run out")]
    public async Task Blocks_of_a_pin_that_ended_are_kept_no_longer(string how)
    {
        await PinAsync("a", replicas: 2);
        _fleet.Plan("b");
        await PinBecomesAsync(PinState.Held, 2);
        Assert.Equal(2 * Count, HeldBlocks());

        // A near end may be over before it is heard of; then it is refused, and another one is named.
        SequenceReply reply = default;
        await Eventually.Holds(
            async () => (reply = await _fleet.Sequences.ExecuteAsync(Chat, End(), CancellationToken.None)).IsOk, () => $"the end of the pin {how}: {reply.Text}");

        await Eventually.Holds(() => Task.FromResult(HeldBlocks() == 0), () => $"no block kept; {HeldBlocks()} are");

        SequenceCommand End() => how switch
        {
            "lifted" => new PinSequence { Replicas = 0 },
            "closed" => new CloseSequence(),
            _ => new PinSequence { Replicas = 2, Until = DateTimeOffset.UtcNow.AddSeconds(1).ToUnixTimeMilliseconds() },
        };
    }

    [Fact]
    public async Task Blocks_of_a_pin_that_ended_while_nobody_planned_are_kept_no_longer_and_those_of_others_are()
    {
        const int Others = 300;
        await PinAsync("a", replicas: 2);
        PutChain("a", Others);
        var other = new SequenceId("t", "other");
        var opened = await _fleet.Sequences.ExecuteAsync(other, SequenceCommands.Open(), CancellationToken.None);
        await _fleet.Sequences.ExecuteAsync(other, SequenceCommands.Append(opened.Info!.Epoch, Others, Count) with { ParentHash = BlockHash.Root }, CancellationToken.None);
        var pinned = await _fleet.Sequences.ExecuteAsync(other, new PinSequence { Replicas = 1, Until = Later() }, CancellationToken.None);
        Assert.True(pinned.IsOk, pinned.Text);
        var first = _fleet.Plan("b");
        await PinBecomesAsync(PinState.Held, 2);
        await Eventually.Holds(() => Task.FromResult(HeldBlocks() == 3 * Count), () => $"three copies kept; {HeldBlocks()} blocks are");
        await first.DisposeAsync();

        Assert.True((await _fleet.Sequences.ExecuteAsync(Chat, new CloseSequence(), CancellationToken.None)).IsOk);
        Assert.Equal(3 * Count, HeldBlocks());
        _fleet.Plan("c");

        await Eventually.Holds(() => Task.FromResult(HeldBlocks() == Count), () => $"one copy of the other kept; {HeldBlocks()} blocks are");
        Assert.Equal(PinState.Held, (await _fleet.Sequences.FindAsync(other, CancellationToken.None)).Info!.Pin.State);
    }

    [Fact]
    public async Task A_pin_of_fewer_copies_keeps_no_more_than_those()
    {
        await PinAsync("a", replicas: 3);
        _fleet.Plan("b");
        await PinBecomesAsync(PinState.Held, 3);
        Assert.Equal(3 * Count, HeldBlocks());

        var reply = await _fleet.Sequences.ExecuteAsync(Chat, new PinSequence { Replicas = 1, Until = Later() }, CancellationToken.None);
        Assert.True(reply.IsOk, reply.Text);

        await PinBecomesAsync(PinState.Held, 1);
        await Eventually.Holds(() => Task.FromResult(HeldBlocks() == Count), () => $"one copy kept; {HeldBlocks()} blocks are");
    }

    [Fact]
    public async Task What_another_pin_keeps_stays_when_one_that_shares_it_ends()
    {
        const int Shared = 5;
        await PinAsync("a", replicas: 2);
        var fork = new SequenceId("t", "fork");
        var forked = await _fleet.Sequences.ExecuteAsync(Chat, new ForkSequence { Target = fork.Name, Blocks = Shared, LastHash = SequenceCommands.Hash(Shared) }, CancellationToken.None);
        Assert.True(forked.IsOk, forked.Text);
        var pinned = await _fleet.Sequences.ExecuteAsync(fork, new PinSequence { Replicas = 2, Until = Later() }, CancellationToken.None);
        Assert.True(pinned.IsOk, pinned.Text);
        _fleet.Plan("b");
        await PinBecomesAsync(PinState.Held, 2);
        await Eventually.Holds(async () => (await _fleet.Sequences.FindAsync(fork, CancellationToken.None)).Info!.Pin.State == PinState.Held, "the pin of the fork held");

        await _fleet.Sequences.ExecuteAsync(Chat, new PinSequence { Replicas = 0 }, CancellationToken.None);

        await Eventually.Holds(() => Task.FromResult(HeldBlocks() == 2 * Shared), () => $"the shared blocks alone kept, twice; {HeldBlocks()} are");
        Assert.Equal(PinState.Held, (await _fleet.Sequences.FindAsync(fork, CancellationToken.None)).Info!.Pin.State);
        Assert.All(Enumerable.Range(0, Shared), index => Assert.Equal(2, _fleet.View.Nodes.Count(node => _fleet[node.Id.Value].Blocks.Held.ContainsKey(Convert.ToHexString(Key(index).Span)))));
    }

    [Fact]
    public async Task A_node_that_could_not_be_told_of_a_pins_end_is_told_later()
    {
        await PinAsync("a", replicas: 3);
        _fleet.Plan("b");
        await PinBecomesAsync(PinState.Held, 3);

        _fleet["c"].IsHanging = true;
        await _fleet.Sequences.ExecuteAsync(Chat, new PinSequence { Replicas = 0 }, CancellationToken.None);
        await Eventually.Holds(() => Task.FromResult(HeldBlocks() == Count), () => $"only the copy of the node that hangs kept; {HeldBlocks()} blocks are");
        _fleet["c"].IsHanging = false;

        await Eventually.Holds(() => Task.FromResult(HeldBlocks() == 0), () => $"no block kept; {HeldBlocks()} are");
    }

    [Fact]
    public async Task Whoever_holds_blocks_of_a_sequence_that_is_lossless_only_is_told_which()
    {
        PutChain("a");
        PutChain("b");
        _fleet["c"].Blocks.Put(Key(0));
        var epoch = await OpenAsync();
        _fleet.Plan("b");
        var opened = await _fleet.Sequences.ExecuteAsync(Chat, SequenceCommands.Open() with { LosslessOnly = true }, CancellationToken.None);
        Assert.True(opened.Info!.LosslessOnly && opened.Info.Epoch > epoch);

        await Eventually.Holds(
            () => Task.FromResult((LosslessBlocks("a"), LosslessBlocks("b"), LosslessBlocks("c")) == (Count, Count, 1)),
            () => $"all blocks told; {LosslessBlocks("a")}, {LosslessBlocks("b")} and {LosslessBlocks("c")} are");
        Assert.True(_fleet["c"].Blocks.Lossless.ContainsKey(Convert.ToHexString(Key(0).Span)));

        // Nothing is moved or kept for it.
        Assert.Equal(0, HeldBlocks());
        Assert.Equal(1, _fleet["c"].Blocks.Count);
    }

    [Fact]
    public async Task Nobody_is_told_anything_of_a_sequence_that_may_lose_something()
    {
        PutChain("a");
        var epoch = await OpenAsync();
        var pinned = await _fleet.Sequences.ExecuteAsync(Chat, new PinSequence { Epoch = epoch, Replicas = 2, Until = Later() }, CancellationToken.None);
        Assert.True(pinned.IsOk, pinned.Text);
        _fleet.Plan("b");
        await PinBecomesAsync(PinState.Held, 2);
        Assert.Equal(0, LosslessBlocks("a") + LosslessBlocks("b") + LosslessBlocks("c"));
    }

    private int LosslessBlocks(string name) => _fleet[name].Blocks.Lossless.Count;

    private int HeldBlocks() => _fleet.View.Nodes.Sum(node => _fleet[node.Id.Value].Blocks.Held.Count);

    private async Task PinAsync(string holder, int replicas)
    {
        PutChain(holder);
        var epoch = await OpenAsync();
        var reply = await _fleet.Sequences.ExecuteAsync(Chat, new PinSequence { Epoch = epoch, Replicas = replicas, Until = Later() }, CancellationToken.None);
        Assert.True(reply.IsOk, reply.Text);
    }

    private void PutChain(string name, int from = 0)
    {
        for (var index = from; index < from + Count; index++)
        {
            _fleet[name].Blocks.Put(Key(index), index == from ? null : Key(index - 1));
        }
    }

    private async Task<long> OpenAsync(int from = 0)
    {
        var opened = await _fleet.Sequences.ExecuteAsync(Chat, SequenceCommands.Open(), CancellationToken.None);
        Assert.True(opened.IsOk, opened.Text);
        var append = SequenceCommands.Append(opened.Info!.Epoch, from, Count) with { ParentHash = BlockHash.Root };
        var appended = await _fleet.Sequences.ExecuteAsync(Chat, append, CancellationToken.None);
        Assert.True(appended.IsOk, appended.Text);
        return opened.Info.Epoch;
    }

    private async Task PinBecomesAsync(PinState state, int copies)
    {
        PinStatus last = default;
        await Eventually.Holds(
            async () => (last = (await _fleet.Sequences.FindAsync(Chat, CancellationToken.None)).Info!.Pin).State == state && last.Copies == copies,
            () => $"the pin {state} with {copies} copies; it is {last.State} with {last.Copies}");
    }

    /// <summary>Nodes that live and have every block.</summary>
    private string[] HoldersOfAll(int from = 0) =>
        [.. _fleet.View.Nodes.Select(node => node.Id.Value).Where(name => Enumerable.Range(from, Count).All(index => _fleet[name].Blocks.TryFind("t", Key(index).Span, out _)))];

    private static ReadOnlyMemory<byte> Key(int index) => SequenceCommands.Scope.KeyOf(SequenceCommands.Hash(index + 1).ToArray());

    private static long Later() => DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds();

    /// <summary>A lease that a test takes away.</summary>
    private sealed class FixedLease(NodeId holder, long token) : ISchedulerLease
    {
        private int _refusals;

        public volatile bool IsLost;

        public TimeSpan Duration => TimeSpan.FromMilliseconds(300);

        /// <summary>Answers that it is held by another one. From the first on no term begins.</summary>
        public int Refusals => Volatile.Read(ref _refusals);

        public ValueTask<LeaseHolding> HoldAsync(CancellationToken cancellationToken)
        {
            if (!IsLost)
            {
                return ValueTask.FromResult(new LeaseHolding(true, token, holder));
            }

            Interlocked.Increment(ref _refusals);
            return ValueTask.FromResult(new LeaseHolding(false, token + 1, NodeId.Parse("c")));
        }

        public ValueTask ReleaseAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
