using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace KvMesh.Gateway.Http.Metrics;

/// <summary>The sums of one instrument, one series for each set of tags.</summary>
internal sealed class InstrumentSeries
{
    /// <summary>Most series of one instrument: a tag with endless values must not fill memory or a scraper.</summary>
    public const int MaxSeries = 1000;

    private static readonly double[] DefaultBounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

    private readonly Instrument _instrument;
    private readonly MetricKind _kind;
    private readonly bool _isAbsolute;
    private readonly double[] _bounds;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Series> _series = new(StringComparer.Ordinal);

    public InstrumentSeries(Instrument instrument)
    {
        _instrument = instrument;
        var type = instrument.GetType().IsGenericType ? instrument.GetType().GetGenericTypeDefinition() : instrument.GetType();
        _kind = type == typeof(Histogram<>) ? MetricKind.Histogram
            : type == typeof(Counter<>) || type == typeof(ObservableCounter<>) ? MetricKind.Counter
            : MetricKind.Gauge;
        _isAbsolute = instrument.IsObservable || type == typeof(Gauge<>);
        _bounds = [.. AdvisedBounds(instrument) ?? DefaultBounds, double.PositiveInfinity];
    }

    /// <summary>Forgets what an observable instrument said last: it says now which series exist.</summary>
    public void ForgetObserved()
    {
        if (_instrument.IsObservable)
        {
            lock (_lock)
            {
                _series.Clear();
            }
        }
    }

    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var key = KeyOf(tags);
        lock (_lock)
        {
            if (!_series.TryGetValue(key, out var series))
            {
                if (_series.Count == MaxSeries)
                {
                    return;
                }

                series = new Series(LabelsOf(tags), _kind == MetricKind.Histogram ? new long[_bounds.Length] : null);
                _series.Add(key, series);
            }

            series.Value = _isAbsolute ? value : series.Value + value;
            if (series.Buckets is { } buckets)
            {
                buckets[Array.FindIndex(_bounds, bound => value <= bound)]++;
            }
        }
    }

    public MetricFamily Read()
    {
        lock (_lock)
        {
            return new MetricFamily(
                _instrument.Name, _instrument.Unit ?? "", _instrument.Description ?? "", _kind, [.. _series.Values.Select(Point)]);
        }
    }

    private static double[]? AdvisedBounds(Instrument instrument) => instrument switch
    {
        Histogram<double> histogram => histogram.Advice?.HistogramBucketBoundaries?.ToArray(),
        Histogram<long> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound).ToArray(),
        Histogram<int> histogram => histogram.Advice?.HistogramBucketBoundaries?.Select(bound => (double)bound).ToArray(),
        _ => null,
    };

    private static string KeyOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty)
        {
            return "";
        }

        var key = new StringBuilder();
        foreach (var (name, value) in tags)
        {
            key.Append(name).Append('\0').Append(Convert.ToString(value, CultureInfo.InvariantCulture)).Append('\0');
        }

        return key.ToString();
    }

    private static List<KeyValuePair<string, string>> LabelsOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = new List<KeyValuePair<string, string>>(tags.Length);
        foreach (var (name, value) in tags)
        {
            labels.Add(new(name, value is bool flag ? (flag ? "true" : "false") : Convert.ToString(value, CultureInfo.InvariantCulture) ?? ""));
        }

        return labels;
    }

    private MetricPoint Point(Series series)
    {
        if (series.Buckets is null)
        {
            return new MetricPoint(series.Labels, series.Value);
        }

        var cumulative = new long[series.Buckets.Length];
        long total = 0;
        for (var i = 0; i < cumulative.Length; i++)
        {
            cumulative[i] = total += series.Buckets[i];
        }

        return new MetricPoint(series.Labels, 0, new HistogramPoint(_bounds, cumulative, series.Value));
    }

    private sealed class Series(IReadOnlyList<KeyValuePair<string, string>> labels, long[]? buckets)
    {
        public IReadOnlyList<KeyValuePair<string, string>> Labels { get; } = labels;

        public long[]? Buckets { get; } = buckets;

        public double Value { get; set; }
    }
}
