using System.Diagnostics.Metrics;
using KvMesh.Gateway.Telemetry;

namespace KvMesh.Gateway.Http.Metrics;

/// <summary>
/// Listens to the meters of one node and keeps the sums that a scraper asks for. Instruments report from any thread;
/// <see cref="Collect"/> may be called from any thread, one call at a time goes through.
/// </summary>
public sealed class MeterCollector : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly Lock _collectLock = new();
    private readonly List<InstrumentSeries> _instruments = [];
    private readonly GatewayMetrics? _operations;
    private readonly MetricFamily _target;

    /// <param name="isOwn">Whether a meter belongs to this node; several nodes may live in one process.</param>
    /// <param name="operations">Durations of operations, which are read where they are counted; null: of a process without doors of a node.</param>
    /// <param name="resource">What names this node to a scraper, for <c>target_info</c>.</param>
    public MeterCollector(Func<Meter, bool> isOwn, GatewayMetrics? operations, IReadOnlyList<KeyValuePair<string, string>> resource)
    {
        _operations = operations;
        _target = new MetricFamily("target.info", "", "What was scraped.", MetricKind.Gauge, [new MetricPoint(resource, 1)]);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name != GatewayMetrics.DurationName && isOwn(instrument.Meter))
            {
                Add(instrument, listener);
            }
        };
        _listener.SetMeasurementEventCallback<byte>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<short>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<int>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<long>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<float>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<decimal>((_, value, tags, state) => Record(state, (double)value, tags));
        _listener.Start();
    }

    /// <summary>Every figure of this moment, by name.</summary>
    public IReadOnlyList<MetricFamily> Collect()
    {
        lock (_collectLock)
        {
            List<InstrumentSeries> instruments;
            lock (_instruments)
            {
                instruments = [.. _instruments];
            }

            instruments.ForEach(static series => series.ForgetObserved());
            _listener.RecordObservableInstruments();
            return
            [
                _target,
                .. _operations is null ? [] : new[] { Operations(_operations) },
                .. instruments.Select(static series => series.Read())
                    .Where(static family => family.Points.Count > 0)
                    .GroupBy(static family => (family.Name, family.Unit, family.Kind))
                    .OrderBy(static group => group.Key.Name, StringComparer.Ordinal)
                    .Select(static group => group.First() with { Points = [.. group.SelectMany(static family => family.Points)] }),
            ];
        }
    }

    public void Dispose() => _listener.Dispose();

    private static void Record(object? state, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        (state as InstrumentSeries)?.Record(value, tags);

    private void Add(Instrument instrument, MeterListener listener)
    {
        var series = new InstrumentSeries(instrument);
        lock (_instruments)
        {
            _instruments.Add(series);
        }

        listener.EnableMeasurementEvents(instrument, series);
    }

    private static MetricFamily Operations(GatewayMetrics operations)
    {
        var points =
            from door in operations.Doors.OrderBy(door => door.Protocol, StringComparer.Ordinal)
            from operation in door.All
            let counts = operation.Read()
            select new MetricPoint(
                [new("kvmesh.protocol", operation.Protocol), new("kvmesh.operation", operation.Operation)],
                0,
                new HistogramPoint(HistogramCounts.ExpositionBounds, counts.Cumulative(), counts.SumNanoseconds / 1e9));

        return new MetricFamily(
            GatewayMetrics.DurationName, "s", "Time from a parsed command to the last byte of its answer, on the server.", MetricKind.Histogram,
            [.. points]);
    }
}
