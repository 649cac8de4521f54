using System.Net;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Sockets;

/// <summary>A connection host that serves <see cref="LineSession"/> on a loopback port.</summary>
internal sealed class HostFixture : IAsyncDisposable
{
    private readonly List<IDisposable> _clients = [];

    public HostFixture(SocketOptions? options = null, bool isStarted = true)
    {
        Options = options ?? new SocketOptions();
        Options.IdleWindow = TimeSpan.FromMilliseconds(1);
        Host = NewHost();
        Endpoint = Host.Listen(new IPEndPoint(IPAddress.Loopback, 0), Factory);
        if (isStarted)
        {
            Host.Start();
        }
    }

    public SocketOptions Options { get; }

    public GatewayMetrics Metrics { get; } = new();

    public LineFactory Factory { get; } = new();

    public ConnectionHost Host { get; }

    public EndPoint Endpoint { get; }

    public ProtocolFigures Figures => Host.Figures().Single(row => row.Protocol == Factory.Protocol);

    public ConnectionHost NewHost() => new(Options, Metrics, TimeProvider.System, NullLogger<ConnectionHost>.Instance);

    public LineClient Connect()
    {
        var client = new LineClient(Endpoint);
        _clients.Add(client);
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await Host.StopAsync(Eventually.Patience, CancellationToken.None);
        Assert.Equal(0, Host.ConnectionCount);
        Assert.Equal(0, Volatile.Read(ref Factory.LiveSessions));
        Factory.Dispose();
        Metrics.Dispose();
    }
}
