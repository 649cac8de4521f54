using System.Net;
using KvMesh.Engine;
using KvMesh.Server.Hosting;
using KvMesh.Server.Options;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server;

/// <summary>A running node: engine, doors, HTTP. It stops with <see cref="StopAsync"/>, once.</summary>
public sealed class KvMeshNode : IAsyncDisposable
{
    private readonly NodeService _service;
    private readonly Lazy<Task> _stop;

    private KvMeshNode(NodeService service)
    {
        _service = service;
        _stop = new Lazy<Task>(service.StopAsync);
    }

    /// <summary>Where the node can be reached. Ports are the real ones, also when an option asked for any.</summary>
    public NodeEndpoints Endpoints => _service.Parts.Endpoints;

    /// <summary>The engine inside, for programs that embed a node.</summary>
    public BlockEngine Engine => _service.Parts.Engine;

    /// <summary>Completes when something other than <see cref="StopAsync"/> ended the node: a successor that took over.</summary>
    public Task Ended => _service.Ended;

    /// <summary>Starts a node with these options. Nothing is left behind when it throws.</summary>
    /// <exception cref="NodeOptionsException">The options are wrong; it names all of them.</exception>
    /// <exception cref="NodeStartException">The machine cannot give what the options ask: a port or folder in use, memory, files.</exception>
    public static Task<KvMeshNode> StartAsync(NodeOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        return StartAsync(NodeOptionsReader.Check(options), new NodeSurroundings(), cancellationToken);
    }

    /// <summary>As above, with options that carry their origin and with a clock and a log of the caller's.</summary>
    public static async Task<KvMeshNode> StartAsync(
        NodeConfiguration configuration, NodeSurroundings surroundings, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(surroundings);
        return new KvMeshNode(await NodeService.StartAsync(configuration, surroundings, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>
    /// Stops: readiness goes, doors close, RAM blocks are saved within the stop budget. Cancelling ends the wait, not the stop.
    /// </summary>
    public Task StopAsync(CancellationToken cancellationToken) => _stop.Value.WaitAsync(cancellationToken);

    public ValueTask DisposeAsync() => new(_stop.Value);
}

/// <summary>What a node takes from the program around it.</summary>
public sealed record NodeSurroundings
{
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Where log entries go. Null: standard error, by the options in <see cref="LogOptions"/>.</summary>
    public Action<ILoggingBuilder>? Logging { get; init; }

    /// <summary>Takes listeners, connections, arena and leases over from the node that runs on the data directory.</summary>
    public bool TakeOver { get; init; }

    /// <summary>Address of the service manager's socket, as in $NOTIFY_SOCKET; null: there is none.</summary>
    public string? NotifySocket { get; init; } = Environment.GetEnvironmentVariable("NOTIFY_SOCKET");
}

/// <summary>Where a node can be reached; null where a door is closed.</summary>
/// <param name="Http">Base address, such as <c>http://127.0.0.1:8600/</c>.</param>
/// <param name="UnixSocket">Path of the native Unix socket.</param>
public sealed record NodeEndpoints(Uri Http, IPEndPoint? Native, IPEndPoint? Resp, string? UnixSocket);

/// <summary>The node cannot start; the message says what to change.</summary>
public sealed class NodeStartException : Exception
{
    public NodeStartException()
    {
    }

    public NodeStartException(string message)
        : base(message)
    {
    }

    public NodeStartException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
