using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// Tells Redis what was removed, on a thread of its own, and keeps it invisible on this node until Redis has heard. Bounded: when too
/// many removals wait, everything of the tenant is purged instead, which loses copies but never shows what was removed. Makes the
/// trials of the breakers too, since nobody waits for this thread.
/// </summary>
internal sealed partial class RedisRemovals : IDisposable
{
    /// <summary>Most removals that wait; each takes about 100 bytes.</summary>
    public const int MaxPending = 1 << 16;

    private const int MaxBatch = 128;

    /// <summary>Time between two attempts while something waits or a breaker is open.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly RedisServerLink _link;
    private readonly RedisKeys _keys;
    private readonly RedisTierOptions _options;
    private readonly RedisTierMetrics _metrics;
    private readonly RemovalMarker _marker;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<BlockName, bool> _pending = new();
    private readonly ConcurrentQueue<BlockName> _queue = new();
    private readonly ConcurrentQueue<Purge> _purges = new();
    private readonly ConcurrentDictionary<string, TenantKeys> _known = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> _purging = new(StringComparer.Ordinal);
    private readonly AutoResetEvent _signal = new(initialState: false);
    private readonly Thread _thread;
    private volatile bool _isStopping;
    private volatile bool _isOverrun;

    public RedisRemovals(
        RedisServerLink link, RedisKeys keys, RedisTierOptions options, RedisTierMetrics metrics, RemovalMarker marker, ILogger logger)
    {
        _link = link;
        _keys = keys;
        _options = options;
        _metrics = metrics;
        _marker = marker;
        _logger = logger;
        link.Opened = () => _signal.Set();
        _thread = new Thread(Run) { Name = "kvmesh-redis-removals", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Held while something is written and while removals are told, so that no write that began earlier arrives after a removal.</summary>
    public Lock Order { get; } = new();

    /// <summary>Removals and purges that Redis has not heard of.</summary>
    public long Pending => _pending.Count + _purges.Count;

    public TenantKeys KeysOf(string tenant) =>
        _known.TryGetValue(tenant, out var known) ? known : _known.GetOrAdd(tenant, static (name, keys) => new TenantKeys(name, keys), _keys);

    /// <summary>Whether the block was removed and Redis may still have it.</summary>
    public bool IsHidden(BlockName name) => _isOverrun || _pending.ContainsKey(name);

    /// <summary>Whether a purge of this tenant has not reached Redis, so that nothing of it may be read.</summary>
    public bool IsPurging(string tenant) => _purging.ContainsKey(tenant);

    public void Remove(BlockName name)
    {
        if (_pending.Count >= MaxPending)
        {
            _isOverrun = true;
        }
        else if (_pending.TryAdd(name, true))
        {
            _queue.Enqueue(name);
        }

        MarkWhileDown();
        _signal.Set();
    }

    /// <summary>Makes every copy of a tenant, model or revision void, on every node. Null stands for all.</summary>
    public void PurgeScope(TenantKeys tenant, string? model, string? revision)
    {
        _purging.AddOrUpdate(tenant.Name, 1, static (_, count) => count + 1);
        _purges.Enqueue(new Purge(tenant, ScopeStamps.FieldOf(model, revision)));
        MarkWhileDown();
        _signal.Set();
    }

    /// <summary>Tells what is left, once, and ends the thread.</summary>
    public void Dispose()
    {
        _isStopping = true;
        _signal.Set();
        _thread.Join();
        if (Pending > 0)
        {
            LogLost(_options.Address, Pending);
        }
    }

    private void Run()
    {
        while (true)
        {
            var isLast = _isStopping;
            try
            {
                _link.TryRecover(_keys.Probe);
                Deliver();
                UpdateMarker();
            }
            catch (Exception exception)
            {
                LogStepFailed(exception);
            }

            if (isLast)
            {
                return;
            }

            var isWaiting = Pending > 0 || _isOverrun || !_link.IsWritable;
            _signal.WaitOne(isWaiting ? Pause : Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Before a removal is answered that Redis will not hear of soon, the disk has heard of it.</summary>
    private void MarkWhileDown()
    {
        if (!_link.IsUp)
        {
            _marker.Set();
        }
    }

    private void UpdateMarker()
    {
        if (Pending > 0 || _isOverrun)
        {
            _marker.Set();
        }
        else if (_marker.IsSet)
        {
            _marker.Clear();
            if (Pending > 0)
            {
                // Something came in between.
                _marker.Set();
            }
        }
    }

    private void Deliver()
    {
        while (_link.IsUp && (!_purges.IsEmpty || !_queue.IsEmpty || _isOverrun))
        {
            lock (Order)
            {
                if (!(_isOverrun ? TryVoidEverything() : _purges.TryPeek(out var purge) ? TryPurge(purge) : TryRemoveBatch()))
                {
                    return;
                }
            }
        }
    }

    private void Ended(Purge purge)
    {
        while (_purging.TryGetValue(purge.Tenant.Name, out var count))
        {
            if (count == 1 ? _purging.TryRemove(new(purge.Tenant.Name, 1)) : _purging.TryUpdate(purge.Tenant.Name, count - 1, count))
            {
                return;
            }
        }
    }

    private readonly record struct Purge(TenantKeys Tenant, string Field);
}
