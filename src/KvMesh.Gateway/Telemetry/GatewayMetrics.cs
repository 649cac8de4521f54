using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace KvMesh.Gateway.Telemetry;

/// <summary>
/// What the doors of one node did and how long it took. A session factory takes its <see cref="DoorMetrics"/> once; sessions
/// record each command, or each batch of commands that were answered together.
/// </summary>
public sealed class GatewayMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "KvMesh.Gateway";

    /// <summary>OpenTelemetry name of the histogram of operations, in seconds.</summary>
    public const string DurationName = "kvmesh.operation.duration";

    private readonly ConcurrentDictionary<string, DoorMetrics> _doors = new(StringComparer.Ordinal);
    private readonly Meter _meter = new(MeterName);
    private readonly Histogram<double> _duration;

    public GatewayMetrics() => _duration = _meter.CreateHistogram<double>(
        DurationName, "s", "Time from a parsed command to the last byte of its answer, on the server.");

    /// <summary>The meter of this project, for further instruments of the doors.</summary>
    public Meter Meter => _meter;

    /// <summary>All doors that have been asked for, with what they counted.</summary>
    public IEnumerable<DoorMetrics> Doors => _doors.Values;

    /// <summary>The figures of one protocol, made at its first mention.</summary>
    public DoorMetrics Door(string protocol) => _doors.GetOrAdd(protocol, static (name, owner) => new DoorMetrics(name, owner._duration), this);

    public void Dispose() => _meter.Dispose();
}
