using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Scheduling;
using KvMesh.Protocol.Placement;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Placement.Nodes;

public sealed class BandwidthMeterTests
{
    private const long Assumed = 1L << 30;
    private const long Gigabit = 118_000_000;

    private readonly SimulatedClock _clock = new();
    private readonly BandwidthMeter _meter;
    private (long Bytes, TimeSpan Time) _served;

    public BandwidthMeterTests() => _meter = new BandwidthMeter(() => _served, Assumed, _clock);

    [Fact]
    public void A_link_that_is_slower_than_assumed_becomes_known_when_several_read_and_then_looks_busy()
    {
        Assert.InRange(Serve(Gigabit, readers: 4, seconds: 2), 0, 0.2);

        var utilisation = 0.0;
        for (var step = 0; step < 20; step++)
        {
            utilisation = Serve(Gigabit, readers: 4, seconds: 2);
        }

        Assert.InRange(_meter.OutBytesPerSecond, Gigabit, Gigabit * 11 / 10);
        Assert.InRange(utilisation, 0.9, 1);
    }

    [Fact]
    public void One_slow_reader_says_nothing_of_the_link()
    {
        for (var step = 0; step < 50; step++)
        {
            Serve(Gigabit / 10, readers: 1, seconds: 2);
        }

        Assert.InRange(_meter.OutBytesPerSecond, Assumed * 9 / 10, Assumed);
    }

    [Fact]
    public void A_faster_link_is_known_at_once_and_fades_when_nobody_reads()
    {
        Serve(3 * Assumed, readers: 2, seconds: 2);
        Assert.InRange(_meter.OutBytesPerSecond, 3 * Assumed - 10, 3 * Assumed + 10);

        for (var step = 0; step < 1_000; step++)
        {
            Serve(0, readers: 0, seconds: 2);
        }

        Assert.InRange(_meter.OutBytesPerSecond, Assumed - 10, Assumed + (Assumed / 100));
    }

    [Fact]
    public void A_slow_link_is_taken_for_the_assumed_one_again_after_long_quiet()
    {
        for (var step = 0; step < 20; step++)
        {
            Serve(Gigabit, readers: 3, seconds: 2);
        }

        Serve(0, readers: 0, seconds: 2);
        Assert.InRange(_meter.OutBytesPerSecond, Gigabit, Assumed / 5);
        for (var step = 0; step < 1_000; step++)
        {
            Serve(0, readers: 0, seconds: 2);
        }

        Assert.InRange(_meter.OutBytesPerSecond, Assumed * 9 / 10, Assumed);
    }

    [Fact]
    public void What_an_order_waited_in_the_queue_does_not_count_against_the_link()
    {
        var blocks = new MemoryBlocks { ArrivingBytes = 4 << 20 };
        var executor = new OrderExecutor(blocks, new OrderGate(), _meter);
        for (var order = 1; order <= 8; order++)
        {
            executor.Give(new OrderGiveRequest(5, order, (byte)OrderKind.Replicate, "t", Keys(order, 32)));
        }

        // 40 ms for a block of 4 MiB, one after the other: about 100 MiB/s, however long the last order waits.
        while (blocks.Waiting.TryDequeue(out var fetch))
        {
            _clock.Advance(TimeSpan.FromMilliseconds(40));
            fetch.Complete(BlockArrival.Came);
        }

        Assert.InRange(_meter.InBytesPerSecond, 95 << 20, 105 << 20);
    }

    [Fact]
    public void A_pause_between_orders_is_no_slow_link()
    {
        var blocks = new MemoryBlocks { ArrivingBytes = 4 << 20 };
        var executor = new OrderExecutor(blocks, new OrderGate(), _meter);
        for (var order = 1; order <= 4; order++)
        {
            executor.Give(new OrderGiveRequest(5, order, (byte)OrderKind.Replicate, "t", Keys(order, 16)));
            while (blocks.Waiting.TryDequeue(out var fetch))
            {
                _clock.Advance(TimeSpan.FromMilliseconds(40));
                fetch.Complete(BlockArrival.Came);
            }

            _clock.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.InRange(_meter.InBytesPerSecond, 95 << 20, 105 << 20);
    }

    private static ReadOnlyMemory<byte>[] Keys(int order, int count) =>
        [.. Enumerable.Range(0, count).Select(index => (ReadOnlyMemory<byte>)new byte[] { (byte)order, (byte)index, 1 })];

    private double Serve(long bytesPerSecond, double readers, int seconds)
    {
        _served = (_served.Bytes + (bytesPerSecond * seconds), _served.Time + TimeSpan.FromSeconds(readers * seconds));
        _clock.Advance(TimeSpan.FromSeconds(seconds));
        return _meter.Look();
    }
}
