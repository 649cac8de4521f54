using KvMesh.Server;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using KvMesh.Worker.Roles;
using KvMesh.Worker.Tests.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvMesh.Worker.Tests.Roles;

/// <summary>A node and workers of one model on it, each with an HTTP door of its own.</summary>
internal sealed class MeshOfWorkers(SeededRequests requests, bool sharesMemory = true) : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly List<WorkerHost> _hosts = [];
    private KvMeshNode _node = null!;

    public string Endpoint => $"tcp://{_node.Endpoints.Native}";

    /// <summary>Port of the node's native door.</summary>
    public int Port => _node.Endpoints.Native!.Port;

    /// <summary>Blocks that the memory of workers made prefixes longer by.</summary>
    public long PromisedByWorkers => _node.Engine.Snapshot().FarTiers.Where(tier => tier.Name == "gpu").Sum(tier => tier.Promised);

    public async Task<MeshOfWorkers> StartAsync()
    {
        var options = new NodeOptions
        {
            DataDirectory = _directory.Path,
            Console = false,
            Http = { Port = 0 },
            Native = { Port = 0 },
            Resp = { Port = 0 },
            Unix = { Enabled = sharesMemory },
            Log = { Level = LogLevel.None },
            Engine =
            {
                ArenaBytes = 32 << 20,
                MaxBlocks = 1 << 13,
                Prefault = false,
                RemoveArenaOnStop = true,
                ScrubBytesPerSecond = 0,
                FarTiers = { ShortestDeadline = Eventually.Patience, LongestDeadline = Eventually.Patience },
            },
        };
        var quiet = new NodeSurroundings { NotifySocket = null, Logging = logging => logging.SetMinimumLevel(LogLevel.None) };
        _node = await KvMeshNode.StartAsync(NodeOptionsReader.Check(options), quiet, CancellationToken.None);
        return this;
    }

    public WorkerOptions Options(WorkerRole role) => new()
    {
        ModelDirectory = requests.Path,
        ModelName = "tiny",
        Role = role,
        Node = Endpoint,
        BlockTokens = SeededRequests.BlockTokens,
        CacheBytes = 64L * requests.Format.BlockBytes,
        Threads = 1,
        MaxPassTokens = 32,
        PrefillFrom = SeededRequests.BlockTokens,
        SectionTimeout = Eventually.Patience,
    };

    /// <summary>Starts a worker and waits until it has reached its node.</summary>
    public async Task<WorkerHost> StartWorkerAsync(WorkerOptions options)
    {
        var host = await WorkerHost.StartAsync(options);
        _hosts.Add(host);
        await Eventually.Holds(() => host.Worker.Health().NodeReached, "the connection of a worker to its node");
        return host;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts)
        {
            await host.DisposeAsync();
        }

        await _node.DisposeAsync();
        _directory.Dispose();
    }
}

/// <summary>A worker behind Kestrel on a free port.</summary>
internal sealed class WorkerHost : IAsyncDisposable
{
    private readonly WebApplication _application;

    private WorkerHost(WebApplication application, WorkerRuntime worker)
    {
        _application = application;
        Worker = worker;
        Address = new Uri(application.Urls.First());
    }

    public WorkerRuntime Worker { get; }

    public Uri Address { get; }

    public static async Task<WorkerHost> StartAsync(WorkerOptions options)
    {
        var worker = await WorkerRuntime.StartAsync(options, default);
        var application = await ServeAsync(worker.MapPrefill);
        return new WorkerHost(application, worker);
    }

    public static async Task<WebApplication> ServeAsync(Action<WebApplication> map)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddRoutingCore();
        var application = builder.Build();
        application.UseRouting();
        map(application);
        application.UseEndpoints(_ => { });
        await application.StartAsync();
        return application;
    }

    public async ValueTask DisposeAsync()
    {
        await _application.DisposeAsync();
        await Worker.DisposeAsync();
    }
}
