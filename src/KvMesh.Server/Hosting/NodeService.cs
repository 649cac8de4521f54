using System.Text;
using KvMesh.Gateway.Handover;
using KvMesh.Gateway.Sockets;
using KvMesh.Server.Options;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Hosting;

/// <summary>
/// A node from its start to its end: its parts, and the offer to a successor. A handover that fails begins the parts anew in
/// this process. Stop and handover never run at once: a stop waits for the handover under way.
/// </summary>
internal sealed partial class NodeService : IHandoverParty
{
    /// <summary>What a successor has for each of its steps; the longest is adopting a full arena.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // A successor that gives up lets go of the data directory when its process ends.
    private static readonly TimeSpan ResumeLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ResumePause = TimeSpan.FromMilliseconds(200);

    private const int MaxUnixPathBytes = 107;

    private readonly NodeConfiguration _configuration;
    private readonly NodeSurroundings _surroundings;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private HandoverOffer? _offer;
    private bool _isStopped;

    private NodeService(NodeConfiguration configuration, NodeSurroundings surroundings, NodeParts parts)
    {
        _configuration = configuration;
        _surroundings = surroundings;
        _loggers = NodeLogging.Create(configuration.Options.Log, surroundings.Logging);
        _logger = _loggers.CreateLogger<KvMeshNode>();
        Parts = parts;
    }

    /// <summary>What serves now, or served last.</summary>
    public NodeParts Parts { get; private set; }

    /// <summary>Completes when a successor serves instead.</summary>
    public Task Ended => _ended.Task;

    public static async Task<NodeService> StartAsync(
        NodeConfiguration configuration, NodeSurroundings surroundings, CancellationToken cancellationToken)
    {
        var parts = surroundings.TakeOver
            ? await TakeOverAsync(configuration, surroundings, cancellationToken).ConfigureAwait(false)
            : await NodeParts.StartAsync(configuration, surroundings, null, null, cancellationToken).ConfigureAwait(false);
        var service = new NodeService(configuration, surroundings, parts);
        service.OfferHandover();
        return service;
    }

    public async Task StopAsync()
    {
        if (_offer is not null)
        {
            await _offer.DisposeAsync().ConfigureAwait(false);
        }

        if (!_isStopped)
        {
            await Parts.StopAsync().ConfigureAwait(false);
        }

        _loggers.Dispose();
    }

    public async Task<FrozenConnections> ReleaseAsync()
    {
        var frozen = await Parts.FreezeAsync().ConfigureAwait(false);
        try
        {
            _isStopped = true;
            await Parts.CloseForSuccessorAsync().ConfigureAwait(false);
            return frozen;
        }
        catch
        {
            await ResumeAsync(frozen).ConfigureAwait(false);
            throw;
        }
    }

    public async Task ResumeAsync(FrozenConnections frozen)
    {
        var startedAt = _surroundings.Time.GetTimestamp();
        while (true)
        {
            try
            {
                Parts = await NodeParts.StartAsync(_configuration, _surroundings, () => frozen, null, CancellationToken.None).ConfigureAwait(false);
                _isStopped = false;
                return;
            }
            catch (NodeStartException exception) when (_surroundings.Time.GetElapsedTime(startedAt) < ResumeLimit)
            {
                LogResumeDelayed(exception.Message);
                await Task.Delay(ResumePause, _surroundings.Time, CancellationToken.None).ConfigureAwait(false);
            }
            catch
            {
                // Neither the successor nor this process can serve: the program around the node must end and be started again.
                frozen.Dispose();
                _ended.TrySetResult();
                throw;
            }
        }
    }

    public void Leave(int successor)
    {
        new ServiceNotifier(_surroundings.NotifySocket, _surroundings.Time).Succeeded(successor);
        _ = Parts.Exported.ContinueWith(_ => _ended.TrySetResult(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private static async Task<NodeParts> TakeOverAsync(
        NodeConfiguration configuration, NodeSurroundings surroundings, CancellationToken cancellationToken)
    {
        var path = HandoverPath(configuration.Options);
        var since = surroundings.Time.GetUtcNow();
        try
        {
            using var receipt = await Task.Run(() => HandoverReceipt.Request(path, configuration.Options.Net, Patience), cancellationToken).ConfigureAwait(false);

            // The parts undo themselves when this fails, which frees the data directory before the receipt sends the other back.
            return await NodeParts.StartAsync(configuration, surroundings, receipt.Commit, since, cancellationToken).ConfigureAwait(false);
        }
        catch (HandoverException exception)
        {
            throw new NodeStartException($"The node on {configuration.Options.DataDirectory} was not taken over: {exception.Message}", exception);
        }
    }

    private static string HandoverPath(NodeOptions options) => Path.Combine(options.DataDirectory, "handover.sock");

    private void OfferHandover()
    {
        var path = HandoverPath(_configuration.Options);
        if (Encoding.UTF8.GetByteCount(path) > MaxUnixPathBytes)
        {
            LogNoOffer(path, MaxUnixPathBytes);
            return;
        }

        _offer = HandoverOffer.Start(path, this, Patience, _loggers.CreateLogger<HandoverOffer>());
    }

    [LoggerMessage(3, LogLevel.Warning, "No successor can take over: {Path} is longer than {Limit} bytes.")]
    private partial void LogNoOffer(string path, int limit);

    [LoggerMessage(4, LogLevel.Warning, "The successor gave up; this node cannot serve again yet: {Reason}")]
    private partial void LogResumeDelayed(string reason);
}
