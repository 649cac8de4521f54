using KvMesh.Cluster.Demand;
using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native.Peers;
using KvMesh.Gateway.SharedMemory;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;

namespace KvMesh.Gateway.Native;

/// <summary>Makes the sessions of the native protocol.</summary>
/// <param name="stopping">Ends watchers that wait for events; the node cancels it before it stops its connections.</param>
public sealed class NativeSessionFactory(
    BlockEngine engine, AccessControl access, GatewayMetrics metrics, NativeOptions options, CancellationToken stopping) : ISessionFactory
{
    private readonly NativeServices _services = new(
        engine, access, metrics.Door("native"), options, new StagingBudget(options.TotalStagingBytes), new SemaphoreSlim(options.MaxWatchers), stopping);

    /// <summary>Serves other nodes of the cluster; null while this node is in none, and then they are refused.</summary>
    public PeerDoor? Peers
    {
        get => _services.Peers;
        set => _services.Peers = value;
    }

    /// <summary>Takes note of what clients ask for; null: nobody does.</summary>
    public DemandSampler? Demand
    {
        get => _services.Demand;
        set => _services.Demand = value;
    }

    public string Protocol => "native";

    /// <summary>Host of the node's sequences; null: their verbs are refused. Set before the first session.</summary>
    public ISequenceHost? Sequences
    {
        get => _services.Sequences;
        init => _services.Sequences = value;
    }

    public IConnectionSession Create(ConnectionInfo connection) => new NativeSession(_services, connection);
}

/// <summary>What all native sessions of a node share.</summary>
internal sealed record NativeServices(
    BlockEngine Engine, AccessControl Access, DoorMetrics Metrics, NativeOptions Options, StagingBudget Staging, SemaphoreSlim Watchers,
    CancellationToken Stopping)
{
    private volatile PeerDoor? _peers;

    public PeerDoor? Peers
    {
        get => _peers;
        set => _peers = value;
    }

    public ISequenceHost? Sequences { get; set; }

    public DemandSampler? Demand { get; set; }
}
