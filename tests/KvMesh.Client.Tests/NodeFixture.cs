using System.Net;
using KvMesh.Cluster.Sequences;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sockets;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Client.Tests;

/// <summary>A real engine behind the native door on a loopback port and a Unix socket, which can be cut off and brought back.</summary>
internal sealed class NodeFixture : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly List<KvMeshClient> _clients = [];
    private readonly Func<NativeOptions, NativeOptions>? _change;
    private ConnectionHost _host = null!;
    private CancellationTokenSource _stopping = null!;
    private GatewayMetrics _metrics = null!;
    private AccessControl _access = null!;

    public NodeFixture(Action<EngineOptions>? configure = null, Func<NativeOptions, NativeOptions>? change = null, params (string Tenant, string Token, string[] Rights)[] tokens)
    {
        _change = change;
        Engine = new TestEngine(options =>
        {
            foreach (var tenant in tokens.Select(token => token.Tenant).Distinct())
            {
                options.Tenants.Add(new TenantOptions { Name = tenant });
            }

            configure?.Invoke(options);
        });
        TokenFile = tokens.Length == 0 ? null : WriteTokens(tokens);
        Start(() => new IPEndPoint(IPAddress.Loopback, FreePort.Next()));
    }

    public static BlockScope Scope { get; } = new("model", "1", new byte[32], 0);

    public TestEngine Engine { get; }

    public IPEndPoint Endpoint { get; private set; } = null!;

    public string UnixPath => Path.Combine(_directory.Path, "native.sock");

    public ConnectionHost Host => _host;

    /// <summary>Sequences in memory; they stay when the node is cut off.</summary>
    public SequenceHost Sequences { get; } = new(
        new EmbeddedSequenceStore(null, new SequenceRules(), TimeProvider.System, NullLoggerFactory.Instance),
        new SequenceHostOptions { Node = "test" }, TimeProvider.System, NullLoggerFactory.Instance);

    private string? TokenFile { get; }

    public string Address(ClientTransport transport) => transport == ClientTransport.Tcp ? $"tcp://{Endpoint}" : $"unix:{UnixPath}";

    /// <summary>A client that is disposed with the fixture.</summary>
    public async Task<KvMeshClient> ConnectAsync(ClientTransport transport = ClientTransport.Tcp, bool blocking = false, Func<ClientOptions, ClientOptions>? change = null)
    {
        var options = new ClientOptions
        {
            Endpoint = Address(transport),
            AllowSharedMemory = transport == ClientTransport.SharedMemory,
            BlockingCalls = blocking,
            RequestTimeout = Eventually.Patience,
            ConnectTimeout = Eventually.Patience,
            StagingBytes = 8 << 20,
        };
        var client = await KvMeshClient.ConnectAsync(change?.Invoke(options) ?? options, CancellationToken.None);
        _clients.Add(client);
        return client;
    }

    /// <summary>Cuts every connection off at once and stops listening, as a killed process does. The engine stays.</summary>
    public async Task CutOffAsync()
    {
        foreach (var connection in _host.Connections())
        {
            _host.CloseConnection(connection.Id);
        }

        await StopAsync();
    }

    /// <summary>Listens again on the same addresses.</summary>
    public void Restart() => Start(() => Endpoint);

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
        {
            await client.DisposeAsync();
        }

        await StopAsync();
        await Sequences.DisposeAsync();
        Engine.Dispose();
        _directory.Dispose();
    }

    /// <param name="endpoint">Where to listen; asked again when somebody took it meanwhile, or looks for a port of his own there at this moment.</param>
    private void Start(Func<IPEndPoint> endpoint)
    {
        _stopping = new CancellationTokenSource();
        _metrics = new GatewayMetrics();
        _access = TokenFile is null
            ? new AccessControl(Engine.Engine.Tenants, NullLoggerFactory.Instance)
            : new AccessControl(Engine.Engine.Tenants, TokenFile, TimeProvider.System, NullLoggerFactory.Instance);
        _host = new ConnectionHost(new SocketOptions(), _metrics, TimeProvider.System, NullLogger<ConnectionHost>.Instance);
        var options = new NativeOptions { NodeId = "test", Incarnation = 1, UnixSocketPath = UnixPath };
        var factory = new NativeSessionFactory(Engine.Engine, _access, _metrics, _change?.Invoke(options) ?? options, _stopping.Token) { Sequences = Sequences };
        Eventually.HoldsBlocking(() => TryListen(endpoint(), factory), "a port to listen on");
        _host.Listen(StreamEndpoint.Unix(UnixPath), factory);
        _host.Start();
    }

    private bool TryListen(IPEndPoint endpoint, NativeSessionFactory factory)
    {
        try
        {
            Endpoint = (IPEndPoint)_host.Listen(endpoint, factory);
            return true;
        }
        catch (AddressInUseException)
        {
            return false;
        }
    }

    private async Task StopAsync()
    {
        await _stopping.CancelAsync();
        await _host.StopAsync(Eventually.Patience, CancellationToken.None);
        _access.Dispose();
        _metrics.Dispose();
        _stopping.Dispose();
    }

    private string WriteTokens((string Tenant, string Token, string[] Rights)[] tokens) => TestTokens.Write(
        Path.Combine(_directory.Path, "tokens.json"), tokens.Select(token => new TestToken(token.Tenant, token.Token, token.Rights)));
}
