using System.Collections.Concurrent;
using System.Security.Cryptography;
using KvMesh.Client;
using KvMesh.Codecs.Layouts;
using KvMesh.Worker.Devices.Host;
using KvMesh.Worker.Devices.Pages;
using KvMesh.Worker.Mesh;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Numerics;
using KvMesh.Worker.Serving;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace KvMesh.Worker.Roles;

/// <summary>What a worker has done since it began.</summary>
public readonly record struct WorkerFigures(ServingFigures Serving, MeshFigures Mesh);

/// <summary>How a worker stands.</summary>
/// <param name="NodeReached">Whether its node answers, all of its connections; it also computes without.</param>
/// <param name="NodeRefusal">Why not.</param>
/// <param name="PrefillWorkers">The prefill workers that it asks.</param>
public sealed record WorkerHealth(bool NodeReached, string? NodeRefusal, IReadOnlyList<PrefillWorkerHealth> PrefillWorkers);

/// <summary>A worker: a model, memory for blocks, and the way to the mesh. Without its node, or without prefill workers, it computes everything itself.</summary>
public sealed class WorkerRuntime : IAsyncDisposable
{
    /// <summary>Most nodes, its own apart, on which it follows what prefill workers write.</summary>
    private const int MaxFollowed = 256;

    private readonly WorkerOptions _options;
    private readonly ComputeTeam _team;
    private readonly LlamaModel _model;
    private readonly BlockParts _parts;
    private readonly HostDevice _device;
    private readonly PageHolder? _holder;
    private readonly GenerationEngine _engine;
    private readonly MeshLink[] _links = [];
    private readonly ConcurrentDictionary<string, Lazy<MeshLink>> _followed = new();
    private readonly MeshCounters _counters = new();
    private readonly MeshPublisher? _publisher;
    private readonly PrefillPool? _prefill;

    private WorkerRuntime(WorkerOptions options, ComputeTeam team, LlamaModel model, string revision)
    {
        (_options, _team, _model) = (options, team, model);
        ModelName = options.ModelName ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(options.ModelDirectory)));
        Revision = revision;
        var format = KvPageFormat.Of(model.Config, KvElement.BFloat16, options.BlockTokens);
        _parts = new BlockParts(format, ModelName, revision, options.Parts);
        if (options.Parts % options.Shards != 0)
        {
            throw new ArgumentException($"Shards is {options.Shards}; it must divide Parts, which is {options.Parts}.");
        }

        IPrefixSource? source = null;
        if (options.Node is { } node)
        {
            _links = [.. Enumerable.Range(0, options.Shards).Select(_ => NewLink(node, watches: true))];
            _publisher = new MeshPublisher(_parts, _links, options.MaxUnpublishedBytes, _counters, options.Logging.CreateLogger<MeshPublisher>());
            _prefill = options.PrefillWorkers.Count > 0 ? new PrefillPool(options.PrefillWorkers, options.PrefillToken, options.SectionTimeout, options.Time) : null;
            source = new PrefixSource(new FetchContext(_parts, _links[0], LinkTo, _prefill, options.PrefillFrom, options.SectionTimeout, _counters, options.Time) { MayCompute = options.PlansLoads });
        }

        var serving = options.Serving(format.BlockBytes);
        _device = new HostDevice((long)format.BlockBytes * serving.CapacityBlocks);
        var pages = new DevicePagePool(_device, format.BlockBytes, serving.CapacityBlocks, options.Time);
        _holder = _links.Length > 0 && options.HandOvers > 0
            ? new PageHolder(pages, _parts, _links[0], options.HandOvers, _counters, options.Logging.CreateLogger<PageHolder>())
            : null;
        _engine = new GenerationEngine(model, new BlockPool(format, pages), serving, source, _publisher);
        Generator = _publisher is null
            ? _engine
            : new SequencedGenerator(
                _engine, _parts, options.BlockTokens, _links[0], _publisher, options.SectionTimeout, _counters, options.Time, options.Logging.CreateLogger<SequencedGenerator>());
    }

    public IGenerator Generator { get; }

    public ModelConfig Config => _model.Config;

    /// <summary>Name of the model in the keys of blocks.</summary>
    public string ModelName { get; }

    /// <summary>Revision of the weights in the keys of blocks.</summary>
    public string Revision { get; }

    /// <summary>Loads the model and begins to look for the node; one that is down is no error.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="ModelFileException">A file of the model is missing or malformed.</exception>
    public static async Task<WorkerRuntime> StartAsync(WorkerOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Check();
        var revision = options.Revision ?? await HashAsync(options.ModelDirectory, cancellationToken).ConfigureAwait(false);
        var team = new ComputeTeam(options.Threads);
        LlamaModel? model = null;
        try
        {
            model = await Task.Run(() => LlamaModel.Load(options.ModelDirectory, team), cancellationToken).ConfigureAwait(false);
            return new WorkerRuntime(options, team, model, revision);
        }
        catch
        {
            model?.Dispose();
            team.Dispose();
            throw;
        }
    }

    public WorkerFigures Figures() => new(_engine.Figures, _counters.Figures with { HandedOverBlocks = _holder?.HandedOver ?? 0 });

    public WorkerHealth Health() => new(
        _links.Length > 0 && Array.TrueForAll(_links, link => link.IsUp), _links.FirstOrDefault(link => !link.IsUp)?.Refusal, _prefill?.Health() ?? []);

    /// <summary>Lets decode workers ask this one; not for the role decode.</summary>
    public void MapPrefill(IEndpointRouteBuilder routes)
    {
        if (_options.Role != WorkerRole.Decode && _publisher is { } publisher)
        {
            new PrefillEndpoint(_engine, publisher, _parts, _options, ModelName, Revision, _counters).Map(routes);
        }
    }

    /// <summary>Returns when everything that was computed so far was published or dropped.</summary>
    public Task FlushAsync(CancellationToken cancellationToken) => _publisher?.FlushAsync(cancellationToken) ?? Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_holder is not null)
        {
            await _holder.DisposeAsync().ConfigureAwait(false);
        }

        await _engine.DisposeAsync().ConfigureAwait(false);
        _device.Dispose();
        if (_publisher is not null)
        {
            await _publisher.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var link in _links.Concat(_followed.Values.Select(link => link.Value)))
        {
            await link.DisposeAsync().ConfigureAwait(false);
        }

        _prefill?.Dispose();
        _model.Dispose();
        _team.Dispose();
    }

    /// <summary>Names the weights: two models of one name with other weights must not share blocks.</summary>
    private static async Task<string> HashAsync(string directory, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        if (Directory.Exists(directory))
        {
            var files = Directory.GetFiles(directory, "*.safetensors").Append(Path.Combine(directory, "config.json")).Where(File.Exists).Order(StringComparer.Ordinal);
            foreach (var file in files)
            {
                await using var stream = File.OpenRead(file);
                hash.AppendData(await SHA256.HashDataAsync(stream, cancellationToken).ConfigureAwait(false));
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));
    }

    /// <summary>The way to a node that a prefill worker names. Null: it is no node of a fleet, or one too many.</summary>
    private MeshLink? LinkTo(string? endpoint)
    {
        if (endpoint == _options.Node)
        {
            return _links[0];
        }

        var mayFollow = endpoint is not null && endpoint.StartsWith("tcp://", StringComparison.Ordinal) && (_followed.Count < MaxFollowed || _followed.ContainsKey(endpoint));
        return mayFollow ? _followed.GetOrAdd(endpoint!, name => new Lazy<MeshLink>(() => NewLink(name))).Value : null;
    }

    private MeshLink NewLink(string endpoint, bool watches = false) => new(
        new ClientOptions
        {
            Endpoint = endpoint,
            Token = _options.NodeToken,
            ClientName = "kvmesh-worker",
            LosslessReads = true,
            LosslessWrites = true,
            RequestTimeout = _options.SectionTimeout * 2,
            ConnectTimeout = _options.SectionTimeout,
            Time = _options.Time,
        },
        watches);
}
