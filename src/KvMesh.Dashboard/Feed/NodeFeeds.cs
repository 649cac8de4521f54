using Microsoft.Extensions.Logging;

namespace KvMesh.Dashboard.Feed;

/// <summary>
/// The feeds of this process, one for each credential. A feed runs while somebody looks and a few seconds longer, so that a page
/// that is loaded again finds it warm. Owns every feed: starts it, stops it, waits for it.
/// </summary>
internal sealed class NodeFeeds(NodeAddress node, TimeProvider time, ILogger<NodeFeed> logger) : IAsyncDisposable
{
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly HashSet<Task> _stopping = [];
    private bool _isDisposed;

    /// <summary>Feeds that follow the node now.</summary>
    public int Running
    {
        get
        {
            lock (_lock)
            {
                return _entries.Count;
            }
        }
    }

    /// <summary>The feed with this token (null: without one), started when it is the first look. Dispose the lease to look away.</summary>
    public FeedLease Attach(string? token)
    {
        // A token is never empty, so the empty key is free for the anonymous feed.
        var key = token ?? "";
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!_entries.TryGetValue(key, out var entry))
            {
                entry = new Entry(new NodeFeed(node.Resolve(), token, time, logger));
                _entries.Add(key, entry);
                entry.Feed.Start();
            }

            entry.Lookers++;
            return new FeedLease(entry.Feed, () => LookAway(key, entry));
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task[] stopping;
        lock (_lock)
        {
            _isDisposed = true;
            foreach (var entry in _entries.Values)
            {
                Stop_NeedsLock(entry);
            }

            _entries.Clear();
            stopping = [.. _stopping];
        }

        await Task.WhenAll(stopping).ConfigureAwait(false);
    }

    private void LookAway(string key, Entry entry)
    {
        lock (_lock)
        {
            if (--entry.Lookers == 0 && !_isDisposed)
            {
                entry.Lingering?.Dispose();
                entry.Lingering = time.CreateTimer(_ => StopIfUnseen(key, entry), null, Linger, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void StopIfUnseen(string key, Entry entry)
    {
        lock (_lock)
        {
            if (entry.Lookers == 0 && _entries.TryGetValue(key, out var current) && current == entry)
            {
                _entries.Remove(key);
                Stop_NeedsLock(entry);
            }
        }
    }

    private void Stop_NeedsLock(Entry entry)
    {
        entry.Lingering?.Dispose();
        _stopping.RemoveWhere(task => task.IsCompleted);
        _stopping.Add(entry.Feed.DisposeAsync().AsTask());
    }

    private sealed class Entry(NodeFeed feed)
    {
        public NodeFeed Feed { get; } = feed;

        public int Lookers { get; set; }

        public ITimer? Lingering { get; set; }
    }
}

/// <summary>One look at a feed.</summary>
internal sealed class FeedLease(NodeFeed feed, Action lookAway) : IDisposable
{
    private Action? _lookAway = lookAway;

    public NodeFeed Feed { get; } = feed;

    public void Dispose() => Interlocked.Exchange(ref _lookAway, null)?.Invoke();
}
