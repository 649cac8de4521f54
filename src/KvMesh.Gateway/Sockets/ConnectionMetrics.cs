using System.Diagnostics.Metrics;

namespace KvMesh.Gateway.Sockets;

/// <summary>The instruments of the connection host. They observe counters that exist anyway, so nothing is paid until somebody collects.</summary>
internal static class ConnectionMetrics
{
    private const string ProtocolTag = "kvmesh.protocol";
    private const string DirectionTag = "network.io.direction";

    public static void Register(Meter meter, Func<IReadOnlyList<ProtocolFigures>> figures)
    {
        meter.CreateObservableUpDownCounter(
            "kvmesh.connection.count", () => Each(figures(), row => row.Open), "{connection}", "Connections of the data plane that are open.");
        meter.CreateObservableCounter(
            "kvmesh.connection.accepted", () => Each(figures(), row => row.Accepted), "{connection}", "Connections that were accepted and served.");
        meter.CreateObservableCounter(
            "kvmesh.connection.refused", () => Each(figures(), row => row.Refused), "{connection}", "Connections closed at once because of Net:MaxConnections.");
        meter.CreateObservableCounter(
            "kvmesh.connection.stalled", () => Each(figures(), row => row.Stalled), "{connection}", "Connections ended because the peer stopped in the middle of a command.");
        meter.CreateObservableCounter(
            "kvmesh.connection.lost", () => Each(figures(), row => row.Lost), "{connection}", "Connections reset by the peer or the network.");
        meter.CreateObservableCounter(
            "kvmesh.connection.failed", () => Each(figures(), row => row.Failed), "{connection}", "Connections ended by an unexpected error.");
        meter.CreateObservableCounter("kvmesh.network.io", () => Bytes(figures()), "By", "Bytes moved on connections of the data plane.");
    }

    private static IEnumerable<Measurement<long>> Each(IReadOnlyList<ProtocolFigures> rows, Func<ProtocolFigures, long> value) =>
        rows.Select(row => new Measurement<long>(value(row), new KeyValuePair<string, object?>(ProtocolTag, row.Protocol)));

    private static IEnumerable<Measurement<long>> Bytes(IReadOnlyList<ProtocolFigures> rows)
    {
        foreach (var row in rows)
        {
            yield return new(row.ReceivedBytes, new(ProtocolTag, row.Protocol), new(DirectionTag, "receive"));
            yield return new(row.SentBytes, new(ProtocolTag, row.Protocol), new(DirectionTag, "transmit"));
        }
    }
}
