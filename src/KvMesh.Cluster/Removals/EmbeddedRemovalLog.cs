using System.Collections.Immutable;
using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Removals;

/// <summary>The log inside one process: for a node on its own, and for clusters in one process. Any thread.</summary>
public sealed class EmbeddedRemovalLog(TimeProvider time) : IRemovalLog
{
    private readonly Lock _lock = new();
    private readonly string _lineage = Guid.NewGuid().ToString("n");
    private readonly Dictionary<PurgeScope, NumberedPurge> _purges = [];
    private readonly Queue<NumberedKey> _keys = new();
    private readonly Dictionary<NodeId, long> _progress = [];
    private int _edition;
    private long _last;
    private long _floor;
    private long _lost;
    private long _purgeFloor;

    public event Action? Changed;

    public string Description => "this process";

    public ValueTask<long> PurgeAsync(PurgeScope scope, string origin, long above, CancellationToken cancellationToken)
    {
        long number;
        lock (_lock)
        {
            number = Next_NeedsLock(above, 1);
            _purges[scope] = new NumberedPurge(scope, number, origin);
            TrimPurges_NeedsLock();
        }

        Changed?.Invoke();
        return ValueTask.FromResult(number);
    }

    public ValueTask<long> RemoveAsync(IReadOnlyList<RemovedKey> keys, string origin, long above, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keys.Count, RemovalLimits.MaxKeysPerCall, nameof(keys));
        long first;
        lock (_lock)
        {
            first = Next_NeedsLock(above, keys.Count);
            for (var index = 0; index < keys.Count; index++)
            {
                _keys.Enqueue(new NumberedKey(keys[index], first + index, origin));
            }

            while (_keys.Count > RemovalLimits.MaxKeptKeys)
            {
                _floor = _keys.Dequeue().Number;
            }
        }

        Changed?.Invoke();
        return ValueTask.FromResult(first);
    }

    public ValueTask<RemovalPage> ReadAsync(RemovalQuestion question, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var isSame = question.Lineage == _lineage;
            var edition = _edition.ToString(System.Globalization.CultureInfo.InvariantCulture);
            var areKnown = isSame && question.Edition == edition;
            if (isSame)
            {
                _progress[question.Reader] = question.Mark;
            }

            var from = isSame ? question.Mark : question.Lineage.Length == 0 ? long.MaxValue : 0;
            return ValueTask.FromResult(new RemovalPage(
                _lineage, edition, _last, _floor, _lost, _purgeFloor,
                [.. _purges.Values.Where(purge => !areKnown || purge.Number > question.Mark)],
                [.. _keys.Where(key => key.Number > from).Take(RemovalLimits.MaxKeysPerPage)]));
        }
    }

    public ValueTask RestoreAsync(string lineage, IReadOnlyList<NumberedPurge> purges, long reached, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(purges);
        var isNews = false;
        lock (_lock)
        {
            if (lineage == _lineage)
            {
                foreach (var purge in purges.Where(purge => purge.Number > _purges.GetValueOrDefault(purge.Scope).Number))
                {
                    _purges[purge.Scope] = purge;
                    _last = Math.Max(_last, purge.Number);
                    isNews = true;
                }

                isNews |= reached > _lost;
                _lost = Math.Max(_lost, reached);
                _last = Math.Max(_last, reached);
                _edition += isNews ? 1 : 0;
                TrimPurges_NeedsLock();
            }
        }

        if (isNews)
        {
            Changed?.Invoke();
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask<ImmutableArray<long>> ProgressAsync(IReadOnlyList<NodeId> nodes, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult<ImmutableArray<long>>([.. nodes.Select(node => _progress.GetValueOrDefault(node))]);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private long Next_NeedsLock(long above, int count)
    {
        var first = Math.Max(Math.Max(_last, above) + 1, time.GetUtcNow().ToUnixTimeMilliseconds());
        _last = first + count - 1;
        return first;
    }

    private void TrimPurges_NeedsLock()
    {
        if (_purges.Count > RemovalLimits.MaxScopes)
        {
            foreach (var oldest in _purges.Values.OrderBy(purge => purge.Number).Take(RemovalLimits.MaxScopes / 16).ToArray())
            {
                _purgeFloor = Math.Max(_purgeFloor, oldest.Number);
                _purges.Remove(oldest.Scope);
            }
        }
    }
}
