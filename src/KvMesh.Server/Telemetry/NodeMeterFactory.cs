using System.Diagnostics.Metrics;

namespace KvMesh.Server.Telemetry;

/// <summary>Makes the meters of ASP.NET Core for one node, so that the figures of two nodes in one process stay apart.</summary>
internal sealed class NodeMeterFactory : IMeterFactory
{
    private readonly Lock _lock = new();
    private readonly List<Meter> _meters = [];

    public Meter Create(MeterOptions options)
    {
        options.Scope = this;
        var meter = new Meter(options);
        lock (_lock)
        {
            _meters.Add(meter);
        }

        return meter;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _meters.ForEach(static meter => meter.Dispose());
            _meters.Clear();
        }
    }
}
