using System.Net;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Remote.Tests.Peers;

/// <summary>Another node: a real engine behind its native door on loopback, which can be cut off and brought back.</summary>
internal sealed class PeerNode : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly string? _tokenFile;
    private ConnectionHost _host = null!;
    private CancellationTokenSource _stopping = null!;
    private GatewayMetrics _metrics = null!;
    private AccessControl _access = null!;
    private bool _isServing;

    public PeerNode(params TestToken[] tokens)
    {
        Engine = new TestEngine(options =>
        {
            options.ArenaBytes = 64 << 20;
            options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Eventually.Patience;
            foreach (var tenant in tokens.Select(token => token.Tenant).Distinct())
            {
                options.Tenants.Add(new TenantOptions { Name = tenant });
            }
        });
        _tokenFile = tokens.Length == 0 ? null : TestTokens.Write(Path.Combine(_directory.Path, "tokens.json"), tokens);
        Endpoint = new IPEndPoint(IPAddress.Loopback, FreePort.Next());
        Serve();
    }

    public TestEngine Engine { get; }

    public IPEndPoint Endpoint { get; }

    public ConnectionHost Host => _host;

    /// <summary>Listens, at first or again.</summary>
    public void Serve()
    {
        _stopping = new CancellationTokenSource();
        _metrics = new GatewayMetrics();
        _access = _tokenFile is null
            ? new AccessControl(Engine.Engine.Tenants, NullLoggerFactory.Instance)
            : new AccessControl(Engine.Engine.Tenants, _tokenFile, TimeProvider.System, NullLoggerFactory.Instance);
        _host = new ConnectionHost(new SocketOptions(), _metrics, TimeProvider.System, NullLogger<ConnectionHost>.Instance);
        _host.Listen(Endpoint, new NativeSessionFactory(Engine.Engine, _access, _metrics, new NativeOptions { NodeId = "peer", Incarnation = 1 }, _stopping.Token));
        _host.Start();
        _isServing = true;
    }

    /// <summary>Ends every connection and listens no more; the engine stays.</summary>
    public async Task CutOffAsync()
    {
        if (!_isServing)
        {
            return;
        }

        _isServing = false;
        foreach (var connection in _host.Connections())
        {
            _host.CloseConnection(connection.Id);
        }

        await _stopping.CancelAsync();
        await _host.StopAsync(Eventually.Patience, CancellationToken.None);
        _access.Dispose();
        _metrics.Dispose();
        _stopping.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await CutOffAsync();
        Engine.Dispose();
        _directory.Dispose();
    }
}
