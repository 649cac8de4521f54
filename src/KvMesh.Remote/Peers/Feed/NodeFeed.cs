using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;
using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>
/// Keeps the map in step with one run of one node: first a list of all that it has, then its changes, and a list again whenever changes
/// were lost or this node became a directory for more. Both come over one connection in the order in which the node looked at its
/// blocks; a list begins after the position of the feed was taken, so that what changes while it is read comes behind it and wins.
/// </summary>
internal sealed partial class NodeFeed : IAsyncDisposable
{
    /// <summary>
    /// Failures in a row that operators hear of. Each start and each stop makes one or two: a node that joins does not know the cluster's digest key yet, and
    /// one that leaves closes its door before the others know that it goes.
    /// </summary>
    private const int NewsFailures = 3;

    private readonly FeedShared _shared;
    private readonly NodeRecord _node;
    private readonly ushort _number;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ILogger _logger;
    private readonly Task _running;
    private readonly Lock _knowing = new();
    private long _incarnation = -1;
    private long _after;
    private bool _wasRefused;
    private long _listedAt;
    private volatile SlotSet _known = new();
    private volatile bool _isReached = true;

    public NodeFeed(FeedShared shared, NodeRecord node, ushort number)
    {
        _shared = shared;
        _node = node;
        _number = number;
        _logger = shared.Loggers.CreateLogger<NodeFeed>();
        _running = Task.Run(() => RunAsync(_stopping.Token));
    }

    public ushort Number => _number;

    /// <summary>The run that is followed.</summary>
    public NodeRecord Node => _node;

    /// <summary>Slots of which the node was listed, and followed since.</summary>
    public SlotSet Known => _known;

    /// <summary>Whether the node answered when it was last asked.</summary>
    public bool IsReached => _isReached;

    /// <summary>These slots are not this node's any more: should they come back, they are listed again.</summary>
    public void Lose(SlotSet slots)
    {
        lock (_knowing)
        {
            _known = _known.Except(slots);
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
        var failures = 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                using var connection = await FeedConnection.ConnectAsync(
                    _node.NativeAddress, _shared.Credential.GreetingFor(_node), _shared.Options.AnswerLimit, _shared.Time, cancellationToken).ConfigureAwait(false);
                await FollowAsync(connection, () => failures = 0, cancellationToken).ConfigureAwait(false);
            }
            catch (ChannelException error)
            {
                if (++failures == NewsFailures)
                {
                    LogLost(_node.Id, _node.NativeAddress, error.Message);
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                failures++;
                LogFailed(error, _node.Id);
            }

            _isReached = false;
            _shared.NoteProgress();
            await PauseAsync(failures, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private Task PauseAsync(int failures, CancellationToken cancellationToken)
    {
        var limit = _shared.Options.RetryLimit;
        var pause = limit / 100 * Math.Min(100, 1 << Math.Min(failures, 10));
        return Task.Delay(pause * (0.5 + (Random.Shared.NextDouble() / 2)), _shared.Time, cancellationToken);
    }

    private async Task FollowAsync(FeedConnection connection, Action noteAnswer, CancellationToken cancellationToken)
    {
        if (connection.Incarnation != _incarnation)
        {
            _incarnation = connection.Incarnation;
            _after = 0;
            Lose(SlotSet.All());
        }

        while (true)
        {
            var role = _shared.Locator.Role;
            var isFull = false;
            if (role is not null && !role.Own.IsEmpty)
            {
                isFull = await AskAsync(connection, role, cancellationToken).ConfigureAwait(false);
                noteAnswer();
                if (!_isReached)
                {
                    _isReached = true;
                    _shared.NoteProgress();
                }

                var unknown = NeedsRefill() ? role.Own : role.Own.Except(_known);
                if (!unknown.IsEmpty)
                {
                    await ListAsync(connection, role, unknown, cancellationToken).ConfigureAwait(false);
                }
            }

            if (!isFull)
            {
                await Task.Delay(_shared.Interval, _shared.Time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private bool NeedsRefill() =>
        _wasRefused && !_shared.Locator.Map.IsFull && _shared.Time.GetElapsedTime(_listedAt) > _shared.Options.RefillInterval;

    /// <summary>Asks for changes and applies them. True when there are more.</summary>
    private async Task<bool> AskAsync(FeedConnection connection, DirectoryRole role, CancellationToken cancellationToken)
    {
        var request = new FeedRequest(_after, NativeLimits.MaxWatchEvents, role.KeyId, role.Own, WantsHeld: true);
        var head = await connection.AskAsync(Verb.Watch, request.Write, cancellationToken).ConfigureAwait(false);
        var isGap = Apply(head.Span, out var count);
        if (isGap)
        {
            if (!_known.IsEmpty)
            {
                LogGap(_node.Id);
                _shared.Metrics.NoteGap();
            }

            Lose(SlotSet.All());
            _shared.NoteProgress();
        }

        return count == NativeLimits.MaxWatchEvents;
    }

    private bool Apply(ReadOnlySpan<byte> head, out uint count)
    {
        var reader = new HeadReader(head);
        var response = WatchResponse.Read(ref reader);
        count = response.Count;
        ApplyStates(ref reader, count);
        _shared.Metrics.NoteEvents(count);
        _after = response.NextAfter;
        return response.HasGap;
    }

    private void ApplyStates(ref HeadReader reader, uint count)
    {
        var map = _shared.Locator.Map;
        for (var index = 0; index < count && reader.IsValid; index++)
        {
            var state = DigestState.Read(ref reader);
            if (!state.IsPresent)
            {
                map.Remove(state.Digest, _number);
            }
            else if (!map.Set(state.Digest, _number, state.Tiers, state.PayloadBytes))
            {
                _wasRefused = true;
            }
        }

        if (!reader.IsComplete)
        {
            throw new ChannelException($"The node sent {count} blocks in a head that does not hold so many.");
        }
    }

    /// <summary>Reads the list of some slots, with changes in between so that none is lost meanwhile.</summary>
    private async Task ListAsync(FeedConnection connection, DirectoryRole role, SlotSet slots, CancellationToken cancellationToken)
    {
        await _shared.Budget.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // While this one waited for its turn, the position may have been lost.
            await CatchUpAsync(connection, role, cancellationToken).ConfigureAwait(false);
            var before = _known;
            var map = _shared.Locator.Map;
            _wasRefused = false;
            _listedAt = _shared.Time.GetTimestamp();
            map.BeginSnapshot(_number);
            long cursor = 0;
            do
            {
                cursor = await ReadPageAsync(connection, new InventoryRequest(cursor, 4096, role.KeyId, slots, WantsHeld: true), cancellationToken).ConfigureAwait(false);
                await CatchUpAsync(connection, role, cancellationToken).ConfigureAwait(false);
                if (!ReferenceEquals(before, _known))
                {
                    // A gap in the middle of it, in which what was listed before may have gone, or slots that were lost.
                    return;
                }
            }
            while (cursor != 0);

            map.EndSnapshot(_number, slots);
            if (TryKnow(before, slots))
            {
                _shared.Metrics.NoteSnapshot();
                _shared.NoteProgress();
            }
        }
        finally
        {
            _shared.Budget.Leave();
        }
    }

    private bool TryKnow(SlotSet before, SlotSet more)
    {
        lock (_knowing)
        {
            var isSame = ReferenceEquals(before, _known);
            _known = isSame ? _known.Union(more) : _known;
            return isSame;
        }
    }

    private async Task CatchUpAsync(FeedConnection connection, DirectoryRole role, CancellationToken cancellationToken)
    {
        while (await AskAsync(connection, role, cancellationToken).ConfigureAwait(false))
        {
        }
    }

    private async Task<long> ReadPageAsync(FeedConnection connection, InventoryRequest request, CancellationToken cancellationToken)
    {
        var head = await connection.AskAsync(Verb.Inventory, request.Write, cancellationToken).ConfigureAwait(false);
        var page = ApplyPage(head.Span);
        _shared.Metrics.NoteSnapshotBlocks(page.Count);
        await _shared.Budget.SpendAsync(head.Length, cancellationToken).ConfigureAwait(false);
        return page.NextCursor;
    }

    private InventoryResponse ApplyPage(ReadOnlySpan<byte> head)
    {
        var reader = new HeadReader(head);
        var page = InventoryResponse.Read(ref reader);
        ApplyStates(ref reader, page.Count);
        return page;
    }

    [LoggerMessage(2300, LogLevel.Warning, "The block map does not follow node {Node} at {Address} any more, and tries again: {Reason}")]
    private partial void LogLost(NodeId node, string address, string reason);

    [LoggerMessage(2301, LogLevel.Information, "Changes of node {Node} were lost; its blocks are listed anew.")]
    private partial void LogGap(NodeId node);

    [LoggerMessage(2302, LogLevel.Error, "Following node {Node} failed; it is tried again.")]
    private partial void LogFailed(Exception exception, NodeId node);
}
