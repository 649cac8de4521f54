using System.Diagnostics;
using System.Reflection;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Http;
using KvMesh.Gateway.Http.Metrics;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Coding;
using KvMesh.Server.Mesh;
using KvMesh.Server.Options;
using KvMesh.Server.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Hosting;

/// <summary>
/// The parts of a running node, in the order of their start: log, engine, access, doors, HTTP. They stop the other way round,
/// except that readiness goes first. One owner calls start and stop.
/// </summary>
internal sealed partial class NodeParts
{
    private readonly StopSteps _stop = new();
    private readonly NodeOptions _options;
    private readonly NodeSurroundings _surroundings;
    private readonly ServiceNotifier _notifier;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly OtlpExport? _export;
    private LayoutBook? _layouts;
    private NodeView? _view;
    private DataPlane? _doors;
    private MeshHost? _mesh;
    private WebApplication? _application;
    private Activity? _handOver;
    private bool _isHandingOver;

    private NodeParts(NodeOptions options, NodeSurroundings surroundings)
    {
        _options = options;
        _surroundings = surroundings;
        _notifier = new ServiceNotifier(surroundings.NotifySocket, surroundings.Time);
        _loggers = NodeLogging.Create(options.Log, surroundings.Logging);
        _logger = _loggers.CreateLogger<KvMeshNode>();
        _export = OtlpExport.Start(options.Telemetry, options.NodeId, Version);
    }

    public static string Version { get; } =
        typeof(NodeParts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    /// <summary>Completes when the last figures and spans were sent, or a collector that does not answer was given up. No successor waits for that.</summary>
    public Task Exported { get; private set; } = Task.CompletedTask;

    public BlockEngine Engine => _view!.Engine;

    public NodeEndpoints Endpoints { get; private set; } = null!;

    /// <param name="inherit">Gives the connections of the node before this one, once everything else is in place; null: there was none.</param>
    /// <param name="takingOverSince">When this process asked a running node to make way; null: it did not.</param>
    public static async Task<NodeParts> StartAsync(
        NodeConfiguration configuration, NodeSurroundings surroundings, Func<FrozenConnections>? inherit, DateTimeOffset? takingOverSince,
        CancellationToken cancellationToken)
    {
        var parts = new NodeParts(configuration.Options, surroundings);
        try
        {
            using var activity = NodeActivities.Start(takingOverSince is null ? "node start" : "node take-over", configuration.Options.NodeId, takingOverSince);
            await parts.StartAsync(configuration.Entries, inherit, cancellationToken).ConfigureAwait(false);
            return parts;
        }
        catch
        {
            await parts.CloseAsync().ConfigureAwait(false);
            await parts.Exported.ConfigureAwait(false);
            throw;
        }
    }

    public async Task StopAsync()
    {
        var activity = NodeActivities.Start("node stop", _options.NodeId);
        _view!.IsReady = false;
        _notifier.Stopping("Saving blocks");
        LogStopping(_options.NodeId);
        await _mesh!.DrainAsync(CancellationToken.None).ConfigureAwait(false);
        await CloseAsync(activity).ConfigureAwait(false);
        await Exported.ConfigureAwait(false);
    }

    /// <summary>
    /// Stops service for a successor: connections come to a command boundary and are given away. Viewers of HTTP are sent away
    /// first, so that clients of the data plane wait the shortest.
    /// </summary>
    public async Task<FrozenConnections> FreezeAsync()
    {
        _handOver = NodeActivities.Start("node hand-over", _options.NodeId);
        _notifier.Reloading();
        _view!.IsReady = false;
        await _application!.StopAsync().ConfigureAwait(false);
        var frozen = await Task.Run(_doors!.Freeze).ConfigureAwait(false);
        _handOver?.SetTag("kvmesh.connections", frozen.Connections.Count);
        return frozen;
    }

    /// <summary>After a freeze: closes everything that the successor will open. The arena stays in place and nothing is saved.</summary>
    public Task CloseForSuccessorAsync()
    {
        _isHandingOver = true;
        return CloseAsync(_handOver);
    }

    /// <summary>Undoes every part. The exporter goes last, so that the span of the stop itself is still sent.</summary>
    private async Task CloseAsync(Activity? activity = null)
    {
        try
        {
            await _stop.RunAsync().ConfigureAwait(false);
        }
        finally
        {
            activity?.Dispose();
            Exported = Task.Run(() => _export?.Dispose());
            _loggers.Dispose();
        }
    }

    private async Task StartAsync(
        IReadOnlyList<ConfigurationEntry> entries, Func<FrozenConnections>? inherit, CancellationToken cancellationToken)
    {
        if (inherit is null)
        {
            PortCheck.ThrowIfTaken(_options);
        }

        var engine = await OpenEngineAsync(cancellationToken).ConfigureAwait(false);
        var access = OpenAccess(engine);
        var metrics = Own(new GatewayMetrics());
        var figures = Own(new NodeMetrics(engine.Snapshot, () => _view?.IsReady == true, _surroundings.Time));
        var meters = Own(new NodeMeterFactory());
        var collector = Own(new MeterCollector(meter => IsOwn(meter, metrics, figures, meters), metrics, Resource()));
        var mesh = _mesh = OpenMesh(engine, access, figures);
        await mesh.CatchUpAsync(isTakeOver: inherit is not null, cancellationToken).ConfigureAwait(false);
        var doors = Own(new DataPlane(_options, engine, access, metrics, mesh.Sequences, _surroundings.Time, _loggers));
        _stop.Add(doors.StopAsync);
        doors.Native.Peers = mesh.Map.Door;
        doors.Native.Demand = mesh.Placement.Demand;
        doors.Resp.Demand = mesh.Placement.Demand;
        Func<FlowList> flows = () => mesh.Far.Flows(engine.Snapshot(), _surroundings.Time);
        mesh.Placement.Desk.Flows = flows;
        if (inherit is null)
        {
            doors.Listen(_options);
        }

        Uri? http = null;
        _view = new NodeView
        {
            NodeId = _options.NodeId,
            Version = Version,
            DataDirectory = _options.DataDirectory,
            Engine = engine,
            Access = access,
            Metrics = metrics,
            Sequences = mesh.Sequences,
            Desk = mesh.Placement.Desk,
            Time = _surroundings.Time,
            Collector = collector,
            Configuration = entries,
            Connections = doors.Connections,
            CloseConnection = doors.Close,
            FarTierState = mesh.Far.StateOf,
            FarCodings = () => mesh.Far.Redis is { } redis ? [(redis.Name, redis.Coding)] : [],
            CodecName = CodecNames.Of,
            State = () => mesh.Membership.Record.State.ToString().ToLowerInvariant(),
            Flows = flows,
            ClusterFlows = mesh.Placement.Desk.CollectFlowsAsync,
            Places = new BlockPlaces(engine, mesh.Self, mesh.Map.Locator, mesh.Far.Redis),
            Mesh = new MeshView(mesh.Status, mesh.ForgetAsync, mesh.AwaitPurgesAsync),
            Endpoints = () => [.. http is null ? [] : new[] { new EndpointStatus("http", http.Authority) }, .. doors.Endpoints()],
        };

        _doors = doors;
        var application = _application = HttpHost.Build(_options, _view, meters, _loggers);
        _stop.Add(() => application.DisposeAsync().AsTask());
        _stop.Add(() => application.StopAsync());
        http = await HttpHost.StartAsync(application, _options.Http, cancellationToken).ConfigureAwait(false);

        if (inherit is not null)
        {
            doors.Adopt(await Task.Run(inherit, cancellationToken).ConfigureAwait(false), _options);
        }

        Endpoints = new NodeEndpoints(http, doors.NativeEndpoint, doors.RespEndpoint, doors.UnixPath);
        doors.Start();
        _stop.Add(() => mesh.StopAsync(_isHandingOver));
        await mesh.StartAsync(Endpoints, cancellationToken).ConfigureAwait(false);
        _view.IsReady = true;
        _notifier.Ready($"Serving on {http}");
        LogServing(_options.NodeId, http, _options.DataDirectory);
    }

    private static bool IsOwn(System.Diagnostics.Metrics.Meter meter, GatewayMetrics metrics, NodeMetrics figures, NodeMeterFactory meters) =>
        meter == metrics.Meter || meter == figures.Meter || meter.Scope == meters || meter.Name is "System.Runtime" or "KvMesh.Engine";

    private async Task<BlockEngine> OpenEngineAsync(CancellationToken cancellationToken)
    {
        try
        {
            CreatePrivateDirectory(_options.DataDirectory);
            TenantList.Complete(_options);

            // Adopting an arena and reading headers of a full disk takes seconds and blocks: not on the caller's thread.
            _layouts = LayoutBook.Open(_options);
            var disk = new TensorCoder(_layouts, CodecPolicy.OfDisk(_options.Codecs), _surroundings.Time);
            var hostPolicy = CodecPolicy.OfHost(_options.Codecs);
            var host = hostPolicy.IsRaw ? null : new TensorCoder(_layouts, hostPolicy, _surroundings.Time, _options.Engine.HostCoding.CountThreads());
            var engine = await Task.Run(() => BlockEngine.Open(_options.Engine, _surroundings.Time, _loggers, disk, host), cancellationToken).ConfigureAwait(false);
            _stop.Add(() => Task.Run(_isHandingOver ? engine.HandOver : engine.Dispose));
            return engine;
        }
        catch (EngineStartException exception)
        {
            throw new NodeStartException(exception.Message, exception);
        }
        catch (LayoutFileException exception)
        {
            throw new NodeStartException($"Codecs:LayoutFile is {LayoutBook.PathOf(_options)}: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new NodeStartException($"DataDirectory {_options.DataDirectory} cannot be used: {exception.Message}", exception);
        }
    }

    private AccessControl OpenAccess(BlockEngine engine)
    {
        try
        {
            return Own(_options.Access.TokenFile.Length == 0
                ? new AccessControl(engine.Tenants, _loggers)
                : new AccessControl(engine.Tenants, _options.Access.TokenFile, _surroundings.Time, _loggers));
        }
        catch (TokenFileException exception)
        {
            throw new NodeStartException($"Access:TokenFile is {_options.Access.TokenFile}: {exception.Message}", exception);
        }
    }

    private MeshHost OpenMesh(BlockEngine engine, AccessControl access, NodeMetrics figures)
    {
        try
        {
            var mesh = new MeshHost(new MeshContext(_options, engine, _layouts!, access, Version, _options.Mesh.SpokenVersions, figures, _surroundings.Time, _loggers));
            _stop.Add(() => mesh.DisposeAsync().AsTask());
            return mesh;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new NodeStartException($"The mesh cannot start: {exception.Message}", exception);
        }
    }

    /// <summary>Blocks are other people's conversations: a new directory is nobody else's to read.</summary>
    private static void CreatePrivateDirectory(string path)
    {
        if (!OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private List<KeyValuePair<string, string>> Resource() =>
    [
        new("service.name", "kvmesh"), new("service.version", Version), new("service.instance.id", _options.NodeId),
    ];

    private T Own<T>(T part)
        where T : IDisposable
    {
        _stop.Add(part);
        return part;
    }

    [LoggerMessage(1, LogLevel.Information, "Node {NodeId} serves on {Http}, data in {DataDirectory}.")]
    private partial void LogServing(string nodeId, Uri http, string dataDirectory);

    [LoggerMessage(2, LogLevel.Information, "Node {NodeId} stops.")]
    private partial void LogStopping(string nodeId);
}
