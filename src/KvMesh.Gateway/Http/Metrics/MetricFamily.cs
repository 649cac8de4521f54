namespace KvMesh.Gateway.Http.Metrics;

/// <summary>What a figure means to a scraper.</summary>
public enum MetricKind
{
    Counter,
    Gauge,
    Histogram,
}

/// <summary>All series of one instrument at one moment, under its OpenTelemetry name and unit.</summary>
public sealed record MetricFamily(string Name, string Unit, string Description, MetricKind Kind, IReadOnlyList<MetricPoint> Points);

/// <summary>One series: its labels and its value, or its histogram.</summary>
public sealed record MetricPoint(IReadOnlyList<KeyValuePair<string, string>> Labels, double Value, HistogramPoint? Histogram = null);

/// <summary>A histogram as a scraper wants it.</summary>
/// <param name="Bounds">Upper bounds, growing, the last one infinite.</param>
/// <param name="Cumulative">Records at or below each bound.</param>
public sealed record HistogramPoint(IReadOnlyList<double> Bounds, IReadOnlyList<long> Cumulative, double Sum);
