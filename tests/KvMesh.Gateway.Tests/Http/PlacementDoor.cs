using System.Net.Http.Headers;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Http;
using KvMesh.Gateway.Http.Metrics;
using KvMesh.Gateway.Telemetry;
using KvMesh.TestKit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Http;

/// <summary>The HTTP door in front of a desk, on a free loopback port.</summary>
internal sealed class PlacementDoor : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly List<IDisposable> _parts;
    private readonly List<HttpClient> _clients = [];

    private PlacementDoor(WebApplication application, List<IDisposable> parts)
    {
        _application = application;
        _parts = parts;
    }

    /// <param name="tokens">Who may call; none: everybody.</param>
    public static async Task<PlacementDoor> OpenAsync(IPlacementDesk? desk, params TestToken[] tokens)
    {
        var engine = new TestEngine();
        var directory = new TemporaryDirectory();
        var access = tokens.Length == 0
            ? new AccessControl(engine.Engine.Tenants, NullLoggerFactory.Instance)
            : new AccessControl(
                engine.Engine.Tenants, TestTokens.Write(Path.Combine(directory.Path, "tokens.json"), tokens), TimeProvider.System, NullLoggerFactory.Instance);
        var metrics = new GatewayMetrics();
        var collector = new MeterCollector(_ => false, metrics, []);
        var view = new NodeView
        {
            NodeId = "n1",
            Version = "0",
            DataDirectory = directory.Path,
            Engine = engine.Engine,
            Access = access,
            Metrics = metrics,
            Time = TimeProvider.System,
            Collector = collector,
            Configuration = [],
            Endpoints = () => [],
            Connections = () => [],
            CloseConnection = _ => false,
            FarTierState = _ => "",
            Flows = () => throw new NotSupportedException(),
            Places = new BlockPlaces(engine.Engine, NodeId.Parse("n1"), null!, null),
            Desk = desk,
        };
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddRoutingCore();
        builder.Services.AddKvMeshHttp(view, new HttpDoorOptions());
        var application = builder.Build();
        application.MapKvMeshHttp();
        await application.StartAsync();
        return new PlacementDoor(application, [collector, access, engine, directory]);
    }

    public HttpClient Client(string? token = null)
    {
        var client = new HttpClient { BaseAddress = new Uri(_application.Urls.Single()), Timeout = Eventually.Patience };
        client.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        _clients.Add(client);
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await _application.DisposeAsync();
        _parts.ForEach(part => part.Dispose());
    }
}
