using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace KvMesh.Gateway.Telemetry;

/// <summary>
/// Durations of one kind of operation on one protocol. Recording is a bit scan and two uncontended additions; it allocates
/// nothing and may be called from any thread.
/// </summary>
public sealed class OperationMetrics
{
    private readonly LogHistogram _durations = new();
    private readonly Histogram<double> _exported;
    private readonly KeyValuePair<string, object?> _protocolTag;
    private readonly KeyValuePair<string, object?> _operationTag;

    internal OperationMetrics(string protocol, string operation, Histogram<double> exported)
    {
        Protocol = protocol;
        Operation = operation;
        _exported = exported;
        _protocolTag = new("kvmesh.protocol", protocol);
        _operationTag = new("kvmesh.operation", operation);
    }

    public string Protocol { get; }

    public string Operation { get; }

    /// <summary>Records an operation that began at <paramref name="startedAt"/>, a value of <see cref="Stopwatch.GetTimestamp"/>.</summary>
    public void Record(long startedAt)
    {
        var elapsed = Stopwatch.GetElapsedTime(startedAt);
        _durations.Record(elapsed.Ticks * (1_000_000_000 / TimeSpan.TicksPerSecond), 1);
        if (_exported.Enabled)
        {
            // Only an exporter that was configured listens here: the text at /metrics is written from the histogram above.
            _exported.Record(elapsed.TotalSeconds, _protocolTag, _operationTag);
        }
    }

    /// <summary>Records <paramref name="count"/> operations that were answered together; each is taken to have lasted as long as all.</summary>
    public void Record(long startedAt, int count)
    {
        var elapsed = Stopwatch.GetElapsedTime(startedAt);
        _durations.Record(elapsed.Ticks * (1_000_000_000 / TimeSpan.TicksPerSecond), count);
        for (var i = 0; _exported.Enabled && i < count; i++)
        {
            _exported.Record(elapsed.TotalSeconds, _protocolTag, _operationTag);
        }
    }

    /// <summary>The counts of this moment.</summary>
    public HistogramCounts Read() => _durations.Read();
}
