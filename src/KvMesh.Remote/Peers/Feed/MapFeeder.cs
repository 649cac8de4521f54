using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>
/// Makes this node the directory that the view says it is: follows every node of it, this one too, for the slots of this node; forgets a
/// node the moment the view does, and everything when the cluster's secret changed. Nothing here depends on the store beyond the view:
/// the map comes from the nodes.
/// </summary>
public sealed partial class MapFeeder : IAsyncDisposable
{
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(1);

    private readonly IClusterViews _views;
    private readonly BlockLocator _locator;
    private readonly SnapshotBudget _budget;
    private readonly FeedShared _shared;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<NodeId, NodeFeed> _feeds = [];
    private readonly Lock _feedsLock = new();
    private readonly ILogger _logger;
    private Task? _running;
    private Task? _sweeping;

    public MapFeeder(
        IClusterViews views, BlockLocator locator, PeerCredential credential, MapFeedOptions options, MapMetrics metrics, TimeProvider time, ILoggerFactory loggers)
    {
        _views = views;
        _locator = locator;
        _budget = new SnapshotBudget(options, time);
        _logger = loggers.CreateLogger<MapFeeder>();
        _shared = new FeedShared(locator, credential, options, metrics, _budget, time, loggers, NoteProgress);
    }

    /// <summary>Begins to follow the view. Once.</summary>
    public void Start()
    {
        _running = Task.Run(() => RunAsync(_stopping.Token));
        _sweeping = Task.Run(() => SweepAsync(_stopping.Token));
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        foreach (var task in new[] { _running, _sweeping })
        {
            await (task ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        foreach (var feed in Feeds())
        {
            await feed.DisposeAsync().ConfigureAwait(false);
        }

        _budget.Dispose();
        _stopping.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        await foreach (var view in _views.WatchAsync(cancellationToken).ConfigureAwait(false))
        {
            try
            {
                await AdoptAsync(view).ConfigureAwait(false);
            }
            catch (Exception error)
            {
                LogFailed(error, view.Epoch);
            }
        }
    }

    private async Task AdoptAsync(ClusterView view)
    {
        if (view.Identity is not { } identity)
        {
            return;
        }

        var earlier = _locator.Role;
        if (earlier is not null && earlier.Secret != identity.Secret)
        {
            await ForgetAllAsync().ConfigureAwait(false);
            earlier = null;
        }

        // A node that left stops counting before anything is waited for.
        var gone = Feeds().Where(feed => view.Find(feed.Node.Id) is not { } node || !IsSameRun(node, feed.Node)).ToList();
        gone.ForEach(feed => _locator.Map.End(feed.Number));

        var assignment = SlotAssignment.Of(view);
        var own = assignment.SlotsOf(_views.Self);
        var self = view.Find(_views.Self) is { } record ? _locator.Map.Join(record) : (ushort)0;
        _locator.Role = new DirectoryRole(assignment, identity.Secret, own, self);
        _shared.Interval = IntervalFor(view.Nodes.Length);
        foreach (var feed in gone)
        {
            Forget(feed);
            await feed.DisposeAsync().ConfigureAwait(false);
        }

        Follow(view);
        if (earlier is not null && earlier.Own.Except(own) is { IsEmpty: false } lost)
        {
            Feeds().ForEach(feed => feed.Lose(lost));
            _locator.Map.Forget(lost);
        }

        NoteProgress();
    }

    /// <summary>A run that moved to another address is taken for a new one: it is listed anew.</summary>
    private static bool IsSameRun(NodeRecord now, NodeRecord then) => now.Incarnation == then.Incarnation && now.NativeAddress == then.NativeAddress;

    private TimeSpan IntervalFor(int nodes)
    {
        var fair = TimeSpan.FromSeconds((double)nodes / _shared.Options.QuestionsPerSecond);
        return fair > _shared.Options.Interval ? fair : _shared.Options.Interval;
    }

    /// <summary>A node alone has nobody to tell and nobody to ask.</summary>
    private void Follow(ClusterView view)
    {
        if (view.Nodes.Length < 2)
        {
            return;
        }

        foreach (var node in view.Nodes.Where(node => node.NativeAddress.Length > 0))
        {
            lock (_feedsLock)
            {
                if (!_feeds.ContainsKey(node.Id) && _locator.Map.Join(node) is var number and not 0)
                {
                    _feeds.Add(node.Id, new NodeFeed(_shared, node, number));
                }
            }
        }
    }

    private async Task ForgetAllAsync()
    {
        _locator.Role = null;
        foreach (var feed in Feeds())
        {
            _locator.Map.End(feed.Number);
            Forget(feed);
            await feed.DisposeAsync().ConfigureAwait(false);
        }

        _locator.Map.Forget(SlotSet.All());
    }

    private void Forget(NodeFeed feed)
    {
        lock (_feedsLock)
        {
            _feeds.Remove(feed.Node.Id);
        }
    }

    private List<NodeFeed> Feeds()
    {
        lock (_feedsLock)
        {
            return [.. _feeds.Values];
        }
    }

    /// <summary>What is known of every node that can be reached is complete.</summary>
    private void NoteProgress()
    {
        var unsure = new SlotSet();
        foreach (var feed in Feeds().Where(feed => feed.IsReached))
        {
            unsure = unsure.Union(SlotSet.All().Except(feed.Known));
        }

        _locator.Complete = _locator.Role is { } role ? role.Own.Except(unsure) : new SlotSet();
    }

    private async Task SweepAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(SweepInterval, _shared.Time);
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
        {
            _locator.Map.Sweep();
        }
    }

    [LoggerMessage(2310, LogLevel.Error, "The block map could not adopt view {Epoch}.")]
    private partial void LogFailed(Exception exception, long epoch);
}
