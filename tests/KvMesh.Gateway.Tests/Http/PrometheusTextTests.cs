using System.Diagnostics.Metrics;
using KvMesh.Gateway.Http.Metrics;
using KvMesh.Gateway.Telemetry;

namespace KvMesh.Gateway.Tests.Http;

public sealed class PrometheusTextTests
{
    [Theory]
    [InlineData("kvmesh.tier.used", "By", MetricKind.Gauge, "kvmesh_tier_used_bytes")]
    [InlineData("kvmesh.tier.blocks", "{block}", MetricKind.Gauge, "kvmesh_tier_blocks")]
    [InlineData("kvmesh.tier.hits", "{block}", MetricKind.Counter, "kvmesh_tier_hits_total")]
    [InlineData("kvmesh.network.io", "By", MetricKind.Counter, "kvmesh_network_io_bytes_total")]
    [InlineData("kvmesh.arena.fragmentation", "1", MetricKind.Gauge, "kvmesh_arena_fragmentation_ratio")]
    [InlineData("kvmesh.operation.duration", "s", MetricKind.Histogram, "kvmesh_operation_duration_seconds")]
    [InlineData("rate", "By/s", MetricKind.Gauge, "rate_bytes_per_second")]
    [InlineData("rate", "{block}/s", MetricKind.Gauge, "rate_per_second")]
    [InlineData("already.bytes", "By", MetricKind.Gauge, "already_bytes")]
    [InlineData("already.total", "", MetricKind.Counter, "already_total")]
    [InlineData("a..b--c", "", MetricKind.Gauge, "a_b_c")]
    [InlineData("2nd.try", "", MetricKind.Gauge, "_2nd_try")]
    [InlineData("load", "%", MetricKind.Gauge, "load_percent")]
    [InlineData("count", "1", MetricKind.Counter, "count_total")]
    public void Names_follow_the_rules_of_OpenTelemetry(string name, string unit, MetricKind kind, string expected) =>
        Assert.Equal(expected, PrometheusNames.Metric(name, unit, kind));

    [Fact]
    public void Writes_help_type_labels_and_values()
    {
        var text = PrometheusText.Write(
        [
            new MetricFamily("kvmesh.tier.hits", "{block}", "Line one\nand a \\ back\"slash", MetricKind.Counter,
                [new MetricPoint([new("kvmesh.tier", "a\"b\\c\nd")], 12), new MetricPoint([], 0.5)]),
            new MetricFamily("limits", "", "", MetricKind.Gauge,
                [new MetricPoint([], double.PositiveInfinity), new MetricPoint([], double.NaN), new MetricPoint([], -1e300)]),
        ]);

        Assert.Equal(
            """
            # HELP kvmesh_tier_hits_total Line one\nand a \\ back"slash
            # TYPE kvmesh_tier_hits_total counter
            kvmesh_tier_hits_total{kvmesh_tier="a\"b\\c\nd"} 12
            kvmesh_tier_hits_total 0.5
            # TYPE limits gauge
            limits +Inf
            limits NaN
            limits -1E+300

            """.ReplaceLineEndings("\n"),
            text);
    }

    [Fact]
    public void Writes_histograms_with_cumulative_buckets_sum_and_count()
    {
        var histogram = new HistogramPoint([0.1, 1, double.PositiveInfinity], [1, 3, 4], 12.5);
        var text = PrometheusText.Write(
            [new MetricFamily("request.duration", "s", "", MetricKind.Histogram, [new MetricPoint([new("door", "resp")], 0, histogram)])]);

        Assert.Equal(
            """
            # TYPE request_duration_seconds histogram
            request_duration_seconds_bucket{door="resp",le="0.1"} 1
            request_duration_seconds_bucket{door="resp",le="1"} 3
            request_duration_seconds_bucket{door="resp",le="+Inf"} 4
            request_duration_seconds_sum{door="resp"} 12.5
            request_duration_seconds_count{door="resp"} 4

            """.ReplaceLineEndings("\n"),
            text);
    }

    [Fact]
    public void Labels_that_become_equal_keep_all_values() =>
        Assert.Contains(
            "x{a_b=\"1;2\"} 3",
            PrometheusText.Write([new MetricFamily("x", "", "", MetricKind.Gauge, [new MetricPoint([new("a.b", "1"), new("a-b", "2")], 3)])]),
            StringComparison.Ordinal);

    [Fact]
    public void Collects_every_kind_of_instrument_of_its_own_meters_only()
    {
        using var own = new Meter("own");
        using var foreign = new Meter("foreign");
        using var operations = new GatewayMetrics();
        using var collector = new MeterCollector(meter => meter == own, operations, []);
        var counter = own.CreateCounter<long>("count");
        var upDown = own.CreateUpDownCounter<int>("level");
        var histogram = own.CreateHistogram<double>("size", advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [1, 10] });
        var observed = new List<Measurement<double>> { new(1, new KeyValuePair<string, object?>("disk", "a")), new(2, new KeyValuePair<string, object?>("disk", "b")) };
        own.CreateObservableGauge("free", () => observed);
        foreign.CreateCounter<long>("foreign").Add(5);

        counter.Add(2);
        counter.Add(3);
        upDown.Add(7);
        upDown.Add(-3);
        histogram.Record(0.5);
        histogram.Record(10);
        histogram.Record(11);
        var first = PrometheusText.Write(collector.Collect());
        observed.RemoveAt(1);
        var second = PrometheusText.Write(collector.Collect());

        Assert.Contains("\ncount_total 5\n", first, StringComparison.Ordinal);
        Assert.Contains("\nlevel 4\n", first, StringComparison.Ordinal);
        Assert.Contains("\nsize_bucket{le=\"1\"} 1\nsize_bucket{le=\"10\"} 2\nsize_bucket{le=\"+Inf\"} 3\nsize_sum 21.5\nsize_count 3\n", first, StringComparison.Ordinal);
        Assert.Contains("free{disk=\"b\"} 2", first, StringComparison.Ordinal);
        Assert.DoesNotContain("free{disk=\"b\"}", second, StringComparison.Ordinal);
        Assert.Contains("free{disk=\"a\"} 1", second, StringComparison.Ordinal);
        Assert.DoesNotContain("foreign", first, StringComparison.Ordinal);
    }

    [Fact]
    public void An_instrument_with_endless_tags_stays_bounded()
    {
        using var own = new Meter("own");
        using var operations = new GatewayMetrics();
        using var collector = new MeterCollector(meter => meter == own, operations, []);
        var counter = own.CreateCounter<long>("count");

        for (var i = 0; i < InstrumentSeries.MaxSeries + 500; i++)
        {
            counter.Add(1, new KeyValuePair<string, object?>("id", i));
        }

        Assert.Equal(InstrumentSeries.MaxSeries, collector.Collect().Single(family => family.Name == "count").Points.Count);
    }
}
