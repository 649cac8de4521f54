using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Http.Metrics;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol.Admin;

namespace KvMesh.Gateway.Http;

/// <summary>What the HTTP door may see of its node. The composition root fills it before the first request.</summary>
public sealed class NodeView
{
    public required string NodeId { get; init; }

    public required string Version { get; init; }

    public required string DataDirectory { get; init; }

    public required BlockEngine Engine { get; init; }

    public required AccessControl Access { get; init; }

    public required GatewayMetrics Metrics { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>All figures of the node, for <c>/metrics</c>.</summary>
    public required MeterCollector Collector { get; init; }

    /// <summary>Options in force, secrets masked.</summary>
    public required IReadOnlyList<ConfigurationEntry> Configuration { get; init; }

    /// <summary>Listeners that are open now.</summary>
    public required Func<IReadOnlyList<EndpointStatus>> Endpoints { get; init; }

    /// <summary>Connections of the data plane that are open now.</summary>
    public required Func<IReadOnlyList<ConnectionStatus>> Connections { get; init; }

    /// <summary>Ends a connection of the data plane. False when there is none of that id.</summary>
    public required Func<long, bool> CloseConnection { get; init; }

    /// <summary>The cluster; null: the node knows of none.</summary>
    public MeshView? Mesh { get; init; }

    /// <summary>Host of the node's sequences; null: it has none, and their routes do not exist.</summary>
    public ISequenceHost? Sequences { get; init; }

    /// <summary>Whether the node takes traffic. The composition root sets it after start and clears it before stop.</summary>
    public bool IsReady { get; set; }
}
