using System.Diagnostics.Metrics;

namespace KvMesh.Gateway.Telemetry;

/// <summary>The figures of one protocol, one histogram for each kind of operation.</summary>
public sealed class DoorMetrics
{
    internal DoorMetrics(string protocol, Histogram<double> duration)
    {
        Protocol = protocol;
        Get = new OperationMetrics(protocol, "get", duration);
        Put = new OperationMetrics(protocol, "put", duration);
        Exists = new OperationMetrics(protocol, "exists", duration);
        Match = new OperationMetrics(protocol, "match", duration);
        Lease = new OperationMetrics(protocol, "lease", duration);
        Remove = new OperationMetrics(protocol, "remove", duration);
        All = [Get, Put, Exists, Match, Lease, Remove];
    }

    public string Protocol { get; }

    /// <summary>Reads that carried payload bytes, or missed.</summary>
    public OperationMetrics Get { get; }

    /// <summary>Writes, from the parsed head to the answer.</summary>
    public OperationMetrics Put { get; }

    public OperationMetrics Exists { get; }

    public OperationMetrics Match { get; }

    /// <summary>Residence leases, taken and released.</summary>
    public OperationMetrics Lease { get; }

    public OperationMetrics Remove { get; }

    public IReadOnlyList<OperationMetrics> All { get; }
}
