using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Scheduling;
using KvMesh.Protocol.Placement;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement.Nodes;

public sealed class OrderExecutorTests
{
    private readonly SimulatedClock _clock = new();
    private readonly MemoryBlocks _blocks = new();
    private readonly OrderGate _gate = new();
    private readonly OrderExecutor _executor;

    public OrderExecutorTests() => _executor = new OrderExecutor(_blocks, _gate, new BandwidthMeter(() => default, 1 << 30, _clock));

    [Fact]
    public void An_order_is_done_when_its_blocks_are_here_in_their_order()
    {
        Assert.Equal(OrderVerdict.Taken, Give(5, 1, 20));

        Assert.Equal(OrderState.Running, StateOf(5, 1));
        var came = new List<string>();
        while (_blocks.Waiting.TryDequeue(out var fetch))
        {
            came.Add(fetch.Key);
            _blocks.Put(Convert.FromHexString(fetch.Key));
            fetch.Complete(BlockArrival.Came);
        }

        Assert.Equal(Keys(1, 20).Select(key => Convert.ToHexString(key.Span)), came);
        Assert.Equal(OrderState.Done, StateOf(5, 1));
        Assert.Equal(20 * MemoryBlocks.BlockBytes, Progress(5, 1).MovedBytes);
        Assert.Equal(1, _executor.Figures.Ended(OrderKind.Replicate, OrderState.Done));
    }

    [Theory]
    [InlineData(OrderKind.RestorePin, 3)]
    [InlineData(OrderKind.Replicate, 0)]
    public void What_comes_for_a_pin_is_kept_from_then_on(OrderKind kind, int kept)
    {
        _blocks.Source = static _ => true;
        _blocks.Put(Keys(1, 1)[0]);

        Give(5, 1, 3, kind);

        Assert.Equal(OrderState.Done, StateOf(5, 1));
        Assert.Equal(kept, _blocks.Held.Count);
    }

    [Fact]
    public void What_came_for_a_pin_and_left_before_it_was_kept_did_not_come()
    {
        Give(5, 1, 1, OrderKind.RestorePin);
        Assert.True(_blocks.Waiting.TryDequeue(out var fetch));
        fetch.Complete(BlockArrival.Came);

        Assert.Equal(OrderState.Failed, StateOf(5, 1));
    }

    [Fact]
    public void Few_blocks_are_under_way_at_a_time()
    {
        Give(5, 1, 100);

        Assert.InRange(_blocks.Waiting.Count, 2, 16);
    }

    [Fact]
    public void An_order_of_a_deposed_scheduler_is_refused_and_counted()
    {
        Give(5, 1, 1);

        Assert.Equal(OrderVerdict.StaleToken, Give(4, 2, 1));
        Assert.Equal(OrderVerdict.StaleToken, _executor.Cancel(new OrderCancelRequest(4, 1)).Verdict);
        Assert.Equal(5, _executor.Give(Request(4, 3, 1)).HighestToken);
        Assert.Equal(3, _executor.Figures.Refused);
        Assert.Equal(OrderState.Running, StateOf(5, 1));
    }

    [Fact]
    public void A_follower_ends_the_orders_before_it()
    {
        Give(5, 1, 100);

        Assert.Equal(OrderVerdict.Taken, Give(6, 1, 2));

        // What was under way for the old order comes and is no business of the new one.
        var old = _blocks.Waiting.Where(fetch => fetch.Key.StartsWith(Convert.ToHexString(Keys(1, 1)[0].Span)[..2], StringComparison.Ordinal)).ToList();
        foreach (var fetch in _blocks.Waiting.ToArray())
        {
            fetch.Complete(BlockArrival.Failed);
        }

        Assert.NotEmpty(old);
        Assert.Equal(1, _executor.Figures.Ended(OrderKind.Replicate, OrderState.Cancelled));
        Assert.Equal(0, Progress(5, 1).State);
    }

    [Fact]
    public void The_first_word_of_a_follower_ends_the_orders_before_it_whatever_it_says()
    {
        Give(5, 1, 100);
        var underWay = _blocks.Waiting.Count;

        Assert.True(_executor.IsInOffice(6));
        foreach (var fetch in _blocks.Waiting.ToArray())
        {
            fetch.Complete(BlockArrival.Came);
        }

        Assert.Equal(underWay, _blocks.Waiting.Count);
        Assert.Equal(1, _executor.Figures.Ended(OrderKind.Replicate, OrderState.Cancelled));
        Assert.False(_executor.IsInOffice(5));
        Assert.Equal(OrderVerdict.Taken, Give(6, 1, 1));
    }

    [Fact]
    public void An_order_goes_no_further_once_the_node_has_heard_elsewhere_of_a_newer_scheduler()
    {
        Give(5, 1, 100);
        var underWay = _blocks.Waiting.Count;

        _gate.Observe(6);
        foreach (var fetch in _blocks.Waiting.ToArray())
        {
            fetch.Complete(BlockArrival.Came);
        }

        Assert.Equal(underWay, _blocks.Waiting.Count);
        Assert.Equal(1, _executor.Figures.Ended(OrderKind.Replicate, OrderState.Cancelled));
    }

    [Fact]
    public void The_same_order_again_is_one_order()
    {
        Give(5, 1, 1);
        Give(5, 1, 1);

        Assert.Single(_blocks.Waiting);
    }

    [Fact]
    public void Blocks_that_do_not_come_fail_the_order_with_their_number()
    {
        _blocks.Source = key => key.Span[^1] % 2 == 0;

        Give(5, 1, 10);

        var progress = Progress(5, 1);
        Assert.Equal((byte)OrderState.Failed, progress.State);
        Assert.Equal("5 of 10 blocks did not come.", progress.Message);
        Assert.Equal(5, progress.Blocks);
    }

    [Fact]
    public void A_done_order_says_how_many_of_its_blocks_nobody_had_to_bring()
    {
        _blocks.Source = _ => true;
        foreach (var key in Keys(1, 7).AsEnumerable().Take(3))
        {
            _blocks.Put(key);
        }

        Give(5, 1, 7);
        Give(5, 2, 7);

        var (first, second) = (Progress(5, 1), Progress(5, 2));
        Assert.Equal(((byte)OrderState.Done, 4L * MemoryBlocks.BlockBytes, "3 of 7 blocks were here already."), (first.State, first.MovedBytes, first.Message));
        Assert.Equal(((byte)OrderState.Done, 0L, "7 of 7 blocks were here already."), (second.State, second.MovedBytes, second.Message));
        Assert.Equal((4, 10), (_executor.Figures.Blocks(BlockArrival.Came), _executor.Figures.Blocks(BlockArrival.WasHere)));
    }

    [Fact]
    public void A_block_that_left_as_soon_as_it_came_was_moved_all_the_same()
    {
        Give(5, 1, 1);
        Assert.True(_blocks.Waiting.TryDequeue(out var fetch));

        fetch.Complete(BlockArrival.Came);

        Assert.Equal(0, _blocks.Count);
        Assert.Equal(((byte)OrderState.Done, (long)MemoryBlocks.BlockBytes), (Progress(5, 1).State, Progress(5, 1).MovedBytes));
    }

    [Fact]
    public void A_cancelled_order_asks_for_no_more_blocks()
    {
        Give(5, 1, 100);
        var underWay = _blocks.Waiting.Count;

        Assert.Equal(OrderVerdict.Taken, _executor.Cancel(new OrderCancelRequest(5, 1)).Verdict);
        foreach (var fetch in _blocks.Waiting.ToArray())
        {
            fetch.Complete(BlockArrival.Came);
        }

        Assert.Equal(underWay, _blocks.Waiting.Count);
        Assert.Equal(OrderState.Cancelled, StateOf(5, 1));
        Assert.Equal(OrderVerdict.Unknown, _executor.Cancel(new OrderCancelRequest(5, 9)).Verdict);
    }

    [Fact]
    public void Promises_go_before_guesses()
    {
        Give(5, 1, 100, OrderKind.Replicate, chain: 1);
        Give(5, 2, 3, OrderKind.RestorePin, chain: 2);
        var asked = new List<string>();
        for (var step = 0; step < 20 && _blocks.Waiting.TryDequeue(out var fetch); step++)
        {
            asked.Add(fetch.Key[..2]);
            fetch.Complete(BlockArrival.Failed);
        }

        Assert.Equal(3, asked.Count(chain => chain == "02"));
    }

    [Fact]
    public void Too_many_orders_are_refused_and_so_is_an_unknown_tenant()
    {
        for (var id = 0; id < OrderExecutor.MaxOpen; id++)
        {
            Assert.Equal(OrderVerdict.Taken, Give(5, id, 1));
        }

        Assert.Equal(OrderVerdict.Full, Give(5, OrderExecutor.MaxOpen, 1));
        Assert.Equal(OrderVerdict.Unknown, _executor.Give(Request(5, 9999, 1) with { Tenant = "nobody" }).Verdict);
    }

    private OrderVerdict Give(long token, long id, int blocks, OrderKind kind = OrderKind.Replicate, int chain = 1) =>
        _executor.Give(Request(token, id, blocks, kind, chain)).Verdict;

    private static OrderGiveRequest Request(long token, long id, int blocks, OrderKind kind = OrderKind.Replicate, int chain = 1) =>
        new(token, id, (byte)kind, "t", Keys(chain, blocks));

    private static ReadOnlyMemory<byte>[] Keys(int chain, int count) => [.. Enumerable.Range(0, count).Select(index => (ReadOnlyMemory<byte>)new[] { (byte)chain, (byte)index })];

    private OrderState StateOf(long token, long id) => (OrderState)Progress(token, id).State;

    private OrderProgress Progress(long token, long id) => _executor.Progress(new OrderProgressRequest(token, [id]))[0];
}
