namespace KvMesh.Dashboard.Feed;

/// <summary>
/// The feeds of one kind of page in this process, one for each key. A feed runs while somebody looks and a few seconds longer, so that a page
/// that is loaded again finds it warm. Owns every feed: starts it, stops it, waits for it.
/// </summary>
/// <typeparam name="TKey">What is looked at, and with which token.</typeparam>
/// <typeparam name="TPicture">What is seen.</typeparam>
internal sealed class FeedPool<TKey, TPicture>(Func<TKey, LiveFeed<TPicture>> create, TimeProvider time) : IAsyncDisposable
    where TKey : notnull
    where TPicture : Picture
{
    /// <summary>More than the pages that can be open; beyond it feeds that nobody looks at go at once.</summary>
    private const int MaxLingering = 64;

    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<TKey, Entry> _entries = [];
    private readonly HashSet<Task> _stopping = [];
    private bool _isDisposed;

    /// <summary>The feed of a key, started when it is the first look. Dispose the lease to look away.</summary>
    public FeedLease<TPicture> Attach(TKey key)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!_entries.TryGetValue(key, out var entry))
            {
                MakeRoom_NeedsLock();
                entry = new Entry(create(key));
                _entries.Add(key, entry);
                entry.Feed.Start();
            }

            entry.Lookers++;
            return new FeedLease<TPicture>(entry.Feed, () => LookAway(key, entry));
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

    private void LookAway(TKey key, Entry entry)
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

    private void StopIfUnseen(TKey key, Entry entry)
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

    private void MakeRoom_NeedsLock()
    {
        if (_entries.Count >= MaxLingering)
        {
            foreach (var (key, entry) in _entries.Where(pair => pair.Value.Lookers == 0).ToList())
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

    private sealed class Entry(LiveFeed<TPicture> feed)
    {
        public LiveFeed<TPicture> Feed { get; } = feed;

        public int Lookers { get; set; }

        public ITimer? Lingering { get; set; }
    }
}

/// <summary>One look at a feed.</summary>
internal sealed class FeedLease<TPicture>(LiveFeed<TPicture> feed, Action lookAway) : IDisposable
    where TPicture : Picture
{
    private Action? _lookAway = lookAway;

    public LiveFeed<TPicture> Feed { get; } = feed;

    public void Dispose() => Interlocked.Exchange(ref _lookAway, null)?.Invoke();
}
