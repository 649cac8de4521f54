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

    public RedisRemovals(RedisServerLink link, RedisKeys keys, RedisTierOptions options, RedisTierMetrics metrics, ILogger logger)
    {
        _link = link;
        _keys = keys;
        _options = options;
        _metrics = metrics;
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

        _signal.Set();
    }

    /// <summary>Makes every copy of a tenant, model or revision void, on every node. Null stands for all.</summary>
    public void PurgeScope(TenantKeys tenant, string? model, string? revision)
    {
        _purging.AddOrUpdate(tenant.Name, 1, static (_, count) => count + 1);
        _purges.Enqueue(new Purge(tenant, ScopeStamps.FieldOf(model, revision)));
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

    private bool TryPurge(Purge purge)
    {
        var isDone = TryAsk(connection =>
        {
            ScopeStamps.Ask(connection, purge.Tenant.ScopesKey);
            connection.Send();
            connection.Scopes.Read(connection);
            if (purge.Field == ScopeStamps.BaseField || connection.Scopes.Count >= ScopeStamps.MaxFields)
            {
                Unlink(connection, purge.Tenant.ScopesKey);
                connection.Send();
                connection.ReadNumber();
                return;
            }

            connection.Commands.Begin(4);
            connection.Commands.Add("HSET"u8);
            connection.Commands.Add(purge.Tenant.ScopesKey);
            connection.Commands.Add(System.Text.Encoding.UTF8.GetBytes(purge.Field));
            connection.Commands.Add(ScopeStamps.NewValue());
            connection.Send();
            connection.ReadNumber();
        });
        if (isDone)
        {
            _purges.TryDequeue(out _);
            Ended(purge);
        }

        return isDone;
    }

    /// <summary>Too much was removed to name it: every tenant that this node knows starts anew.</summary>
    private bool TryVoidEverything()
    {
        var known = _known.Values.ToArray();
        var isDone = TryAsk(connection =>
        {
            foreach (var tenant in known)
            {
                Unlink(connection, tenant.ScopesKey);
                connection.Send();
                connection.ReadNumber();
            }
        });
        if (isDone)
        {
            LogOverrun(_options.Address, MaxPending);
            _queue.Clear();
            _pending.Clear();
            _isOverrun = false;
        }

        return isDone;
    }

    private bool TryRemoveBatch()
    {
        var batch = new List<BlockName>(MaxBatch);
        foreach (var name in _queue.Take(MaxBatch))
        {
            batch.Add(name);
        }

        var isDone = TryAsk(connection => RemoveBatch(connection, batch));
        if (isDone)
        {
            foreach (var name in batch)
            {
                _queue.TryDequeue(out _);
                _pending.TryRemove(name, out _);
            }

            Interlocked.Add(ref _metrics.Removed, batch.Count);
        }

        return isDone;
    }

    /// <summary>The heads tell which other parts there are; heads go first, so that nobody begins to read what is going.</summary>
    private void RemoveBatch(RedisConnection connection, List<BlockName> batch)
    {
        Span<byte> key = stackalloc byte[RedisKeys.MaxBytes];
        Span<byte> prefix = stackalloc byte[RecordHead.Bytes];
        foreach (var name in batch)
        {
            var headKey = key[.._keys.WriteHead(name, key)];
            RedisBlockWriter.AskHead(connection, headKey);
            Unlink(connection, headKey);
        }

        connection.Send();
        var parts = 0;
        foreach (var name in batch)
        {
            var bytes = connection.ReadValueHead(RecordHead.Bytes);
            connection.Replies.Receive(prefix[..bytes]);
            connection.Replies.EndBulk();
            connection.ReadNumber();
            if (bytes == RecordHead.Bytes && RecordHead.TryRead(prefix, out var head))
            {
                for (var part = 1; part < head.Parts; part++, parts++)
                {
                    Unlink(connection, key[.._keys.WritePart(name, part, head.Generation, key)]);
                }
            }
        }

        if (parts > 0)
        {
            connection.Send();
            for (; parts > 0; parts--)
            {
                connection.ReadNumber();
            }
        }
    }

    private static void Unlink(RedisConnection connection, ReadOnlySpan<byte> key)
    {
        connection.Commands.Begin(2);
        connection.Commands.Add("UNLINK"u8);
        connection.Commands.Add(key);
    }

    private bool TryAsk(Action<RedisConnection> ask)
    {
        if (!_link.TryBegin(_options.Deadline, out var connection))
        {
            return false;
        }

        IOException? failure = null;
        try
        {
            ask(connection);
        }
        catch (IOException exception)
        {
            failure = exception;
        }

        _link.End(connection, failure);
        return failure is null;
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

    [LoggerMessage(4111, LogLevel.Warning, "More than {Limit} removals waited for the Redis tier at {Address}; all copies of this node's tenants there are void instead.")]
    private partial void LogOverrun(string address, int limit);

    [LoggerMessage(4112, LogLevel.Warning, "The Redis tier at {Address} was not told of {Count} removals before this node stopped: other nodes see those blocks until they expire.")]
    private partial void LogLost(string address, long count);

    [LoggerMessage(4113, LogLevel.Error, "A step of the Redis tier's removals failed; they go on.")]
    private partial void LogStepFailed(Exception exception);

    private readonly record struct Purge(TenantKeys Tenant, string Field);
}
