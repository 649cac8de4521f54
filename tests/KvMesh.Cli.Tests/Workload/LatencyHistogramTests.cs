using KvMesh.Cli.Workload;

namespace KvMesh.Cli.Tests.Workload;

public sealed class LatencyHistogramTests
{
    [Fact]
    public void Percentiles_are_within_a_bucket_of_the_sorted_values()
    {
        var random = new Random(7);
        var histogram = new LatencyHistogram();
        var values = Enumerable.Range(0, 20_000).Select(_ => TimeSpan.FromTicks((long)Math.Exp(random.NextDouble() * 18))).Order().ToArray();
        foreach (var value in values)
        {
            histogram.Record(value);
        }

        foreach (var percentile in new[] { 1, 50, 90, 99, 99.9 })
        {
            var exact = values[(int)Math.Ceiling(values.Length * percentile / 100) - 1];
            var found = histogram.Percentile(percentile);
            Assert.InRange(found.Ticks, exact.Ticks, exact.Ticks + (exact.Ticks / 30) + 1);
        }

        Assert.Equal(values[^1], histogram.Max);
    }

    [Fact]
    public void Nothing_recorded_reads_as_zero() => Assert.Equal(TimeSpan.Zero, new LatencyHistogram().Percentile(99));

    [Fact]
    public void A_sum_counts_what_its_parts_counted()
    {
        var first = new LatencyHistogram();
        var second = new LatencyHistogram();
        first.Record(TimeSpan.FromMilliseconds(1));
        second.Record(TimeSpan.FromDays(20));

        var sum = LatencyHistogram.Sum([first, second]);

        Assert.Equal(2, sum.Count);
        Assert.Equal(TimeSpan.FromDays(20), sum.Max);
        Assert.Equal(TimeSpan.FromDays(20), sum.Percentile(100));
    }
}
