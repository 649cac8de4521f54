using System.Threading.Channels;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Mesh;

/// <summary>
/// Brings what operators did to membership into the audit, which lies with the node that plans placement. That one may be the very node that was declared gone, so nobody waits
/// for it: a line is in the log of this node at once, and in the audit as soon as a node plans.
/// </summary>
internal sealed partial class OperatorNotes : IAsyncDisposable
{
    /// <summary>Lines that wait; a further one is in the log alone.</summary>
    private const int MaxWaiting = 256;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Channel<(NodeId Node, string Actor)> _waiting = Channel.CreateBounded<(NodeId, string)>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private readonly CancellationTokenSource _stopping = new();
    private readonly IPlacementDesk _desk;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Task _running;

    public OperatorNotes(IPlacementDesk desk, TimeProvider time, ILogger logger)
    {
        _desk = desk;
        _time = time;
        _logger = logger;
        _running = Task.Run(() => RunAsync(_stopping.Token));
    }

    /// <summary>A node was declared gone.</summary>
    /// <param name="actor">Name of the credential, or the address where there was none.</param>
    public void NoteForgotten(NodeId node, string actor)
    {
        LogForgotten(actor, node);
        if (!_waiting.Writer.TryWrite((node, actor)))
        {
            LogTooMany(node);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        await foreach (var (node, actor) in _waiting.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            while (!await TryWriteAsync(node, actor, cancellationToken).ConfigureAwait(false))
            {
                await Task.Delay(Pause, _time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask<bool> TryWriteAsync(NodeId node, string actor, CancellationToken cancellationToken)
    {
        try
        {
            await _desk.NoteForgottenAsync(node, actor, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (PlacementUnavailableException)
        {
            return false;
        }
    }

    [LoggerMessage(6121, LogLevel.Warning, "{Actor} declared the node {Node} gone.")]
    private partial void LogForgotten(string actor, NodeId node);

    [LoggerMessage(6122, LogLevel.Error, "Too many lines wait for a node that plans; that {Node} was declared gone stands in this log alone.")]
    private partial void LogTooMany(NodeId node);
}
