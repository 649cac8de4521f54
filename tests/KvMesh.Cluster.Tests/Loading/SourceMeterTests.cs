using KvMesh.Cluster.Loading;

namespace KvMesh.Cluster.Tests.Loading;

public sealed class SourceMeterTests
{
    [Fact]
    public void Is_what_was_assumed_until_something_came()
    {
        var source = new SourceMeter("redis", SourceKind.Redis, 1e9, TimeSpan.FromMilliseconds(1)).Current;

        Assert.Equal(("redis", SourceKind.Redis, 1e9, TimeSpan.FromMilliseconds(1), 0L), (source.Name, source.Kind, source.BytesPerSecond, source.Latency, source.QueuedBytes));
    }

    [Fact]
    public void Comes_to_what_is_measured()
    {
        var meter = new SourceMeter("peer", SourceKind.Peer, 1e9, TimeSpan.FromMilliseconds(1));
        for (var read = 0; read < 40; read++)
        {
            meter.Ask(1_000_000);
            meter.Answered(1_000_000, 1_000_000, TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(10));
        }

        Assert.InRange(meter.Current.BytesPerSecond, 0.99e8, 1.02e8);
        Assert.InRange(meter.Current.Latency.TotalMilliseconds, 4.9, 5);
    }

    [Fact]
    public void Small_answers_say_nothing_of_bandwidth_and_what_is_asked_for_is_queued()
    {
        var meter = new SourceMeter("disk", SourceKind.Disk, 1e9, TimeSpan.Zero);
        meter.Ask(100);
        meter.Ask(200);
        meter.Answered(100, 100, TimeSpan.Zero, TimeSpan.FromSeconds(1));

        Assert.Equal((1e9, 200L), (meter.Current.BytesPerSecond, meter.Current.QueuedBytes));
    }
}
