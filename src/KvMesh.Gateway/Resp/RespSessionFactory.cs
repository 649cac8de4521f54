using KvMesh.Cluster.Demand;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;

namespace KvMesh.Gateway.Resp;

/// <summary>Makes the sessions of the Redis door. One per node.</summary>
public sealed class RespSessionFactory : IResumableSessionFactory
{
    private readonly RespServices _services;

    /// <param name="engine">Keeps the blocks.</param>
    /// <param name="access">Maps AUTH to tenants.</param>
    /// <param name="options">What the door promises.</param>
    /// <param name="maxBlockBytes">Largest value that the engine takes, for messages.</param>
    /// <param name="metrics">Where commands are counted.</param>
    /// <param name="time">Clock of expiry and chains.</param>
    /// <exception cref="ArgumentException">A pattern of the options is not a regular expression; the message names it.</exception>
    public RespSessionFactory(
        BlockEngine engine, AccessControl access, RespOptions options, int maxBlockBytes, GatewayMetrics metrics, TimeProvider time) =>
        _services = new RespServices(engine, access, options, maxBlockBytes, metrics, time);

    public string Protocol => "resp";

    /// <summary>
    /// Set when the node begins to stop. From then on every write is answered as if it were done, and dropped: clients of this
    /// door cannot bear errors, and a cache may forget.
    /// </summary>
    public bool IsDraining
    {
        get => _services.IsDraining;
        set => _services.IsDraining = value;
    }

    /// <summary>Takes note of what clients ask for; null: nobody does.</summary>
    public DemandSampler? Demand
    {
        get => _services.Chains.Demand;
        set => _services.Chains.Demand = value;
    }

    /// <summary>Ends the connection of that id, for CLIENT KILL: the host's CloseConnection. Without it a killed connection ends at its next command.</summary>
    public Func<long, bool>? CloseConnection
    {
        get => _services.CloseConnection;
        set => _services.CloseConnection = value;
    }

    public IConnectionSession Resume(ConnectionInfo connection, ReadOnlySpan<byte> state)
    {
        var saved = RespSessionState.Read(state);
        var session = new RespSession(_services, connection);
        session.Restore(saved);
        return session;
    }

    public IConnectionSession Create(ConnectionInfo connection) => new RespSession(_services, connection);
}
