using System.Collections.Concurrent;

namespace KvMesh.Cluster.Removals;

/// <summary>What this node removed and the others have not been told, bounded: when too much waits, all of the tenant is purged on the others. Any thread adds, one takes.</summary>
internal sealed class RemovalOutbox(Tombstones tombstones)
{
    private readonly ConcurrentQueue<RemovedKey> _keys = new();
    private readonly ConcurrentQueue<UntoldPurge> _purges = new();
    private readonly ConcurrentDictionary<string, int> _purging = new(StringComparer.Ordinal);
    private long _lastPurge;
    private long _toldPurge;
    private long _toldNumber;

    public bool IsEmpty => _keys.IsEmpty && _purges.IsEmpty;

    public int Keys => _keys.Count;

    public int Purges => _purges.Count;

    /// <summary>Counts the purges that were added, so that one can wait for those up to now.</summary>
    public long LastPurge => Interlocked.Read(ref _lastPurge);

    /// <summary>Of the purges that were added, how many have been told.</summary>
    public long ToldPurge => Interlocked.Read(ref _toldPurge);

    /// <summary>Number in the log of the purge that was told last.</summary>
    public long ToldNumber => Interlocked.Read(ref _toldNumber);

    /// <summary>Whether a purge of the tenant has not been told, so that nothing of it may be taken from anybody.</summary>
    public bool IsPurging(string tenant) => !_purging.IsEmpty && _purging.ContainsKey(tenant);

    public IReadOnlyList<RemovedKey> UntoldKeys() => [.. _keys];

    public IReadOnlyList<PurgeScope> UntoldPurges() => [.. _purges.Select(purge => purge.Scope)];

    public void Add(string tenant, ReadOnlySpan<byte> key)
    {
        if (_keys.Count < RemovalLimits.MaxUntold)
        {
            if (tombstones.Add(tenant, key))
            {
                _keys.Enqueue(new RemovedKey(tenant, key.ToArray()));
            }
        }
        else if (!IsPurging(tenant))
        {
            Add(new PurgeScope(tenant, null, null));
        }
    }

    public void Add(PurgeScope scope)
    {
        _purging.AddOrUpdate(scope.Tenant, 1, static (_, count) => count + 1);
        _purges.Enqueue(new UntoldPurge(scope, Interlocked.Increment(ref _lastPurge)));
    }

    public bool TryPeekPurge(out PurgeScope scope)
    {
        var isThere = _purges.TryPeek(out var purge);
        scope = purge.Scope;
        return isThere;
    }

    /// <summary>The purge that was peeked has been told.</summary>
    public void ToldPurgeAs(long number)
    {
        if (!_purges.TryDequeue(out var purge))
        {
            return;
        }

        var tenant = purge.Scope.Tenant;
        while (_purging.TryGetValue(tenant, out var count)
            && !(count == 1 ? _purging.TryRemove(new(tenant, 1)) : _purging.TryUpdate(tenant, count - 1, count)))
        {
        }

        Interlocked.Exchange(ref _toldNumber, number);
        Interlocked.Exchange(ref _toldPurge, purge.Ticket);
    }

    /// <summary>The keys to tell next. They stay until <see cref="ToldKeys"/>.</summary>
    public IReadOnlyList<RemovedKey> TakeKeys()
    {
        var batch = _keys.Take(RemovalLimits.MaxKeysPerCall).ToArray();
        foreach (var key in batch)
        {
            tombstones.Telling(key);
        }

        return batch;
    }

    /// <summary>The first keys were told under consecutive numbers.</summary>
    public void ToldKeys(IReadOnlyList<RemovedKey> batch, long first)
    {
        for (var index = 0; index < batch.Count; index++)
        {
            tombstones.Told(batch[index], first + index);
            _keys.TryDequeue(out _);
        }
    }

    public void NotTold(IReadOnlyList<RemovedKey> batch)
    {
        foreach (var key in batch)
        {
            tombstones.NotTold(key);
        }
    }

    private readonly record struct UntoldPurge(PurgeScope Scope, long Ticket);
}
