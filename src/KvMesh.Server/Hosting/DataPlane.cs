using System.Net;
using System.Net.Sockets;
using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Gateway.Resp;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Sockets;
using KvMesh.Server.Options;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Hosting;

/// <summary>The doors of the data plane and the host of their connections.</summary>
internal sealed class DataPlane : IDisposable
{
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _stopping = new();
    private readonly ConnectionHost _host;

    public DataPlane(
        NodeOptions options, BlockEngine engine, AccessControl access, GatewayMetrics metrics, ISequenceHost sequences, TimeProvider time,
        ILoggerFactory loggers)
    {
        _host = new ConnectionHost(options.Net, metrics, time, loggers.CreateLogger<ConnectionHost>());
        Resp = new RespSessionFactory(engine, access, options.Resp.Rules, options.Engine.MaxBlockBytes, metrics, time) { CloseConnection = _host.CloseConnection };
        Native = new NativeSessionFactory(engine, access, metrics, NativeOptionsOf(options, engine), _stopping.Token) { Sequences = sequences };
    }

    public NativeSessionFactory Native { get; }

    public RespSessionFactory Resp { get; }

    public IPEndPoint? NativeEndpoint { get; private set; }

    public IPEndPoint? RespEndpoint { get; private set; }

    public string? UnixPath { get; private set; }

    /// <summary>Binds every door that is enabled. Nobody is served yet.</summary>
    /// <exception cref="NodeStartException">An address cannot be bound; the message names its option.</exception>
    public void Listen(NodeOptions options)
    {
        if (options.Native.Enabled && NativeEndpoint is null)
        {
            NativeEndpoint = (IPEndPoint)Bind("Native:Port", TcpOf(options.Native), Native);
        }

        if (options.Resp.Enabled && RespEndpoint is null)
        {
            RespEndpoint = (IPEndPoint)Bind("Resp:Port", TcpOf(options.Resp), Resp);
        }

        if (options.Unix.Enabled && UnixPath is null)
        {
            Bind("Unix:Path", new UnixDomainSocketEndPoint(options.Unix.Path), Native);
            UnixPath = options.Unix.Path;
        }
    }

    /// <summary>Goes on with what another host gave away; what is not among its listeners is bound anew. Nobody is served yet.</summary>
    public void Adopt(FrozenConnections frozen, NodeOptions options)
    {
        _host.Adopt(frozen, [Native, Resp]);
        foreach (var (protocol, endpoint) in _host.Endpoints())
        {
            switch (endpoint)
            {
                case UnixDomainSocketEndPoint unix:
                    UnixPath = unix.ToString();
                    break;
                case IPEndPoint tcp when protocol == Native.Protocol:
                    NativeEndpoint = tcp;
                    break;
                case IPEndPoint tcp:
                    RespEndpoint = tcp;
                    break;
            }
        }

        Listen(options);
    }

    public void Start() => _host.Start();

    /// <summary>Ends every thread at a command boundary and gives listeners and connections away. Blocks.</summary>
    public FrozenConnections Freeze()
    {
        _stopping.Cancel();
        return _host.Freeze(DrainLimit);
    }

    public IReadOnlyList<ConnectionStatus> Connections() =>
    [
        .. _host.Connections().Select(connection => new ConnectionStatus(
            connection.Id, connection.Protocol, connection.RemoteAddress, connection.TenantName, connection.ClientName, connection.OpenedAt,
            connection.IsBusy, connection.ReceivedBytes, connection.SentBytes, connection.Commands)),
    ];

    public IEnumerable<EndpointStatus> Endpoints() => _host.Endpoints().Select(door => new EndpointStatus(
        door.Protocol, door.Endpoint is UnixDomainSocketEndPoint unix ? $"unix:{unix}" : door.Endpoint.ToString() ?? ""));

    public bool Close(long connection) => _host.CloseConnection(connection);

    /// <summary>Watchers end, commands in progress may finish, then every connection is closed.</summary>
    public async Task StopAsync()
    {
        Resp.IsDraining = true;
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _host.StopAsync(DrainLimit, CancellationToken.None).ConfigureAwait(false);
    }

    public void Dispose() => _stopping.Dispose();

    private static NativeOptions NativeOptionsOf(NodeOptions options, BlockEngine engine) => new()
    {
        NodeId = options.NodeId,
        Versions = options.Mesh.SpokenVersions,
        Incarnation = engine.Snapshot().Incarnation,
        UnixSocketPath = options.Unix.Enabled ? options.Unix.Path : "",
        MaxBlockBytes = options.Engine.MaxBlockBytes,
        MaxExistenceLease = options.Engine.MaxExistenceLease,
        MaxResidenceLease = options.Engine.MaxResidenceLease,
        MaxWatchers = options.Native.MaxWatchers,
        SharedMemory = options.Unix.SharedMemory,
        StagingBytes = options.Unix.StagingBytes,
        TotalStagingBytes = options.Unix.TotalStagingBytes,
    };

    private static IPEndPoint TcpOf(ListenerOptions options) => new(NodeOptionsRules.AddressOf(options.Address)!, options.Port);

    private EndPoint Bind(string option, EndPoint endpoint, ISessionFactory factory)
    {
        try
        {
            return _host.Listen(endpoint, factory);
        }
        catch (AddressInUseException exception)
        {
            throw new NodeStartException($"{option}: {exception.Message} Stop the other process or set another one.", exception);
        }
        catch (IOException exception)
        {
            throw new NodeStartException($"{option}: {exception.Message}", exception);
        }
    }
}
