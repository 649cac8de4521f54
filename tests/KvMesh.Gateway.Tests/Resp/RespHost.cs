using System.Net;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Resp;
using KvMesh.Gateway.Sockets;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>The Redis door on a real port.</summary>
internal sealed class RespHost : IAsyncDisposable
{
    private readonly ConnectionHost _host;

    public RespHost(Action<EngineOptions>? engine = null, Action<RespOptions>? resp = null, Func<BlockEngine, AccessControl>? access = null)
    {
        Fixture = new RespFixture(engine, resp, TimeProvider.System, access);
        _host = new ConnectionHost(new SocketOptions(), Fixture.Metrics, TimeProvider.System, NullLogger<ConnectionHost>.Instance);
        Port = ((IPEndPoint)_host.Listen(new IPEndPoint(IPAddress.Loopback, 0), Fixture.Factory)).Port;
        Fixture.Factory.CloseConnection = _host.CloseConnection;
        _host.Start();
    }

    public RespFixture Fixture { get; }

    public int Port { get; }

    /// <summary>Whether no connection has a thread.</summary>
    public bool IsQuiet() => _host.Connections().All(connection => !connection.IsBusy);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(Eventually.Patience, CancellationToken.None);
        Fixture.Dispose();
    }
}
