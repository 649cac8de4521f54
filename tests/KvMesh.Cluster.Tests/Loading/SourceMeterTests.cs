using KvMesh.Cluster.Loading;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Loading;

public sealed class SourceMeterTests
{
    [Fact]
    public void Is_what_was_assumed_until_something_came()
    {
        var source = new SourceMeter("redis", SourceKind.Redis, 1e9, TimeSpan.FromMilliseconds(1), new SimulatedClock()).Current;

        Assert.Equal(("redis", SourceKind.Redis, TimeSpan.FromMilliseconds(1), 0L), (source.Name, source.Kind, source.Latency, source.QueuedBytes));
        Assert.Equal(1e9, source.BytesPerSecond, 1.0);
    }

    [Fact]
    public void Comes_to_what_is_measured()
    {
        var meter = new SourceMeter("peer", SourceKind.Peer, 1e9, TimeSpan.FromMilliseconds(1), new SimulatedClock());
        for (var read = 0; read < 40; read++)
        {
            meter.Ask(1_000_000);
            meter.Answered(1_000_000, 1_000_000, TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(10));
        }

        Assert.InRange(meter.Current.BytesPerSecond, 0.99e8, 1.02e8);
        Assert.InRange(meter.Current.Latency.TotalMilliseconds, 4.9, 5);
    }

    [Fact]
    public void Small_answers_say_nothing_of_bandwidth_unless_they_took_long_and_what_is_asked_for_is_queued()
    {
        var meter = new SourceMeter("disk", SourceKind.Disk, 1e9, TimeSpan.Zero, new SimulatedClock());
        meter.Ask(100);
        meter.Ask(200);
        meter.Answered(100, 100, TimeSpan.Zero, TimeSpan.FromMilliseconds(10));

        Assert.Equal(200L, meter.Current.QueuedBytes);
        Assert.Equal(1e9, meter.Current.BytesPerSecond, 1.0);

        meter.Answered(200, 200, TimeSpan.Zero, TimeSpan.FromMilliseconds(40));
        Assert.Equal(200 / 0.04, meter.Current.BytesPerSecond, 1e-6);
    }

    /// <summary>One read at a hundredth of the rate tells more than the mean of the rates would.</summary>
    [Fact]
    public void A_source_that_became_slow_shows_with_the_first_read_and_is_forgiven_when_nothing_is_read_from_it()
    {
        var clock = new SimulatedClock();
        var meter = new SourceMeter("peer", SourceKind.Peer, 1e9, TimeSpan.Zero, clock);

        meter.Answered(10_000_000, 10_000_000, TimeSpan.Zero, TimeSpan.FromMilliseconds(10));
        meter.Answered(10_000_000, 10_000_000, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        var slow = meter.Current.BytesPerSecond;
        clock.Advance(TimeSpan.FromSeconds(10));
        var later = meter.Current.BytesPerSecond;
        clock.Advance(TimeSpan.FromSeconds(1000));

        Assert.InRange(slow, 4e7, 5e7);
        Assert.Equal(2 * slow, later, 1.0);
        Assert.Equal(1e9, meter.Current.BytesPerSecond, 1.0);
    }

    [Fact]
    public void What_does_not_come_tells_that_a_source_is_slow_until_it_comes()
    {
        var clock = new SimulatedClock();
        var meter = new SourceMeter("peer", SourceKind.Peer, 1e9, TimeSpan.Zero, clock);
        clock.Advance(TimeSpan.FromSeconds(100));

        meter.Ask(1_000_000);
        var asked = meter.Current.BytesPerSecond;
        clock.Advance(TimeSpan.FromSeconds(1));
        meter.Ask(1_000_000);
        var waiting = meter.Current.BytesPerSecond;
        meter.Answered(1_000_000, 0, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        var again = meter.Current.BytesPerSecond;
        meter.Answered(1_000_000, 0, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal((1e9, 2e6, 1e9, 1e9), (Math.Round(asked), Math.Round(waiting), Math.Round(again), Math.Round(meter.Current.BytesPerSecond)));
        Assert.False(meter.IsMeasured);
    }

    [Fact]
    public void A_source_that_is_faster_than_was_assumed_stays_so()
    {
        var clock = new SimulatedClock();
        var meter = new SourceMeter("ram", SourceKind.Memory, 1e6, TimeSpan.Zero, clock);

        meter.Answered(10_000_000, 10_000_000, TimeSpan.Zero, TimeSpan.FromMilliseconds(10));
        var fast = meter.Current.BytesPerSecond;
        clock.Advance(TimeSpan.FromSeconds(1000));

        Assert.True(fast > 1e6);
        Assert.Equal(fast, meter.Current.BytesPerSecond, 1e-3);
    }
}
