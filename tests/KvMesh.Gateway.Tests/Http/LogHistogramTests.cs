using System.Diagnostics;
using KvMesh.Gateway.Telemetry;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Http;

public sealed class LogHistogramTests
{
    [Fact]
    public void Each_bucket_begins_where_the_one_before_ends()
    {
        for (var bucket = 0; bucket < LogHistogram.BucketCount - 1; bucket++)
        {
            var bound = LogHistogram.UpperBound(bucket);

            Assert.Equal(bucket, LogHistogram.BucketOf(bound - 1));
            Assert.Equal(bucket + 1, LogHistogram.BucketOf(bound));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(long.MaxValue)]
    [InlineData(-1)]
    public void The_ends_catch_everything(long nanoseconds)
    {
        var histogram = new LogHistogram();
        histogram.Record(nanoseconds, 1);

        Assert.Equal(1, histogram.Read().Count);
    }

    [Fact]
    public void Quantiles_are_off_by_less_than_a_fifth()
    {
        var histogram = new LogHistogram();
        for (var microseconds = 1; microseconds <= 10_000; microseconds++)
        {
            histogram.Record(microseconds * 1000L, 1);
        }

        var counts = histogram.Read();
        Assert.InRange(counts.Quantile(0.5)!.Value, 4_000, 6_000);
        Assert.InRange(counts.Quantile(0.99)!.Value, 8_000, 11_900);
        Assert.Null(new LogHistogram().Read().Quantile(0.5));
    }

    [Fact]
    public void Exposition_counts_what_is_below_each_power_of_two()
    {
        var histogram = new LogHistogram();
        histogram.Record(1023, 1);
        histogram.Record(1024, 2);
        histogram.Record(2048, 4);
        histogram.Record(1L << 50, 8);

        var cumulative = histogram.Read().Cumulative();
        Assert.Equal(HistogramCounts.ExpositionBounds.Count, cumulative.Count);
        Assert.Equal([1, 3, 7], cumulative.Take(3));
        Assert.Equal(7, cumulative[^2]);
        Assert.Equal(15, cumulative[^1]);
    }

    [Fact]
    public async Task Threads_that_record_together_lose_nothing()
    {
        var histogram = new LogHistogram();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            for (var i = 0; i < 50_000; i++)
            {
                histogram.Record((i % 1000) * 1000 * (thread + 1), 1);
            }
        })));

        Assert.Equal(200_000, histogram.Read().Count);
    }

    [Fact]
    public void Recording_an_operation_allocates_nothing()
    {
        using var metrics = new GatewayMetrics();
        var get = metrics.Door("native").Get;

        Assert.Equal(0, Allocations.Of(RecordOften));
        Assert.Equal(0, get.Read().Count % 10_000);

        void RecordOften()
        {
            for (var i = 0; i < 10_000; i++)
            {
                get.Record(Stopwatch.GetTimestamp());
            }
        }
    }
}
