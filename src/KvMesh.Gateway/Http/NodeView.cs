using System.Globalization;
using KvMesh.Cluster.Placement;
using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Engine.Coding;
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

    /// <summary>What the node is to its cluster: <see cref="NodeStatus.State"/>.</summary>
    public Func<string> State { get; init; } = static () => "active";

    /// <summary>State of a tier beyond the node, by its name; see <see cref="FarTierStatus.State"/>.</summary>
    public required Func<string, string> FarTierState { get; init; }

    /// <summary>How tiers beyond the node encode, of those that do.</summary>
    public Func<IReadOnlyList<(string Tier, CodingSnapshot Coding)>> FarCodings { get; init; } = static () => [];

    /// <summary>Name of a kind of codec.</summary>
    public Func<ushort, string> CodecName { get; init; } = static codec => codec.ToString(CultureInfo.InvariantCulture);

    /// <summary>What the node pulled from others and exchanged with Redis.</summary>
    public required Func<FlowList> Flows { get; init; }

    /// <summary>The same of all nodes of the cluster; null: nobody collects it.</summary>
    public Func<CancellationToken, Task<ClusterFlows>>? ClusterFlows { get; init; }

    /// <summary>Tells where blocks are, on this node and beyond.</summary>
    public required BlockPlaces Places { get; init; }

    /// <summary>The cluster; null: the node knows of none.</summary>
    public MeshView? Mesh { get; init; }

    /// <summary>Orders of placement and drains, as every node can show them; null: the node takes no part in placement, and answers so.</summary>
    public IPlacementDesk? Desk { get; init; }

    /// <summary>Host of the node's sequences; null: it has none, and their routes do not exist.</summary>
    public ISequenceHost? Sequences { get; init; }

    /// <summary>Whether the node takes traffic. The composition root sets it after start and clears it before stop.</summary>
    public bool IsReady { get; set; }
}
