using System.Collections.Concurrent;

namespace KvMesh.Cluster.Removals;

/// <summary>
/// The number of the last purge of each scope. A number counts for readers before the purge is carried out here, and for what this node gives
/// or writes only afterwards: between the two, this node takes nothing old and passes nothing old on as new. One writer, any readers.
/// </summary>
internal sealed class PurgeNumbers
{
    private readonly ConcurrentDictionary<PurgeScope, Numbers> _scopes = new();
    private readonly ConcurrentDictionary<string, Numbers> _tenants = new(StringComparer.Ordinal);
    private long _floor;

    /// <summary>What is older than this may have been purged by a purge that nobody remembers.</summary>
    public long Floor
    {
        get => Volatile.Read(ref _floor);
        set => Volatile.Write(ref _floor, value);
    }

    public int Count => _scopes.Count;

    public IReadOnlyList<NumberedPurge> All() => [.. _scopes.Select(pair => new NumberedPurge(pair.Key, pair.Value.Done, ""))];

    /// <summary>The last purge of exactly that scope that was carried out here.</summary>
    public long NumberOf(PurgeScope scope) => _scopes.TryGetValue(scope, out var numbers) ? numbers.Done : 0;

    /// <summary>From now on nothing older is taken in.</summary>
    public void Begin(PurgeScope scope, long number)
    {
        Raise(scope, number, isDone: false);
        _tenants.AddOrUpdate(
            scope.Tenant, static (_, to) => new Numbers(to, 0), static (_, known, to) => known with { Wanted = Math.Max(known.Wanted, to) }, number);
    }

    /// <summary>The purge was carried out here.</summary>
    public void End(PurgeScope scope, long number)
    {
        Begin(scope, number);
        Raise(scope, number, isDone: true);
        _tenants.AddOrUpdate(
            scope.Tenant, static (_, to) => new Numbers(to, to), static (_, known, to) => known with { Done = Math.Max(known.Done, to) }, number);
        Trim();
    }

    /// <summary>What another node must have carried out so that this one takes a block of the tenant from it.</summary>
    public long Wanted(string tenant) => Math.Max(Floor, _tenants.TryGetValue(tenant, out var numbers) ? numbers.Wanted : 0);

    /// <summary>What this node has carried out.</summary>
    public long Done(string tenant) => Math.Max(Floor, _tenants.TryGetValue(tenant, out var numbers) ? numbers.Done : 0);

    /// <summary>The last purge that takes away a block of that model and revision, begun or carried out.</summary>
    public long Of(string tenant, string model, string revision)
    {
        if (_scopes.IsEmpty)
        {
            return Floor;
        }

        var number = Math.Max(One(new PurgeScope(tenant, null, null)), One(new PurgeScope(tenant, model, null)));
        number = Math.Max(number, Math.Max(One(new PurgeScope(tenant, model, revision)), One(new PurgeScope(tenant, null, revision))));
        return Math.Max(Floor, number);

        long One(PurgeScope scope) => !_scopes.TryGetValue(scope, out var numbers) ? 0 : numbers.Wanted;
    }

    private void Raise(PurgeScope scope, long number, bool isDone) => _scopes.AddOrUpdate(
        scope,
        static (_, to) => new Numbers(to.Number, to.IsDone ? to.Number : 0),
        static (_, known, to) => new Numbers(Math.Max(known.Wanted, to.Number), to.IsDone ? Math.Max(known.Done, to.Number) : known.Done),
        (Number: number, IsDone: isDone));

    private void Trim()
    {
        if (_scopes.Count <= RemovalLimits.MaxScopes)
        {
            return;
        }

        foreach (var (scope, numbers) in _scopes.OrderBy(pair => pair.Value.Done).Take(RemovalLimits.MaxScopes / 16).ToArray())
        {
            Floor = Math.Max(Floor, numbers.Done);
            _scopes.TryRemove(scope, out _);
        }
    }

    private readonly record struct Numbers(long Wanted, long Done);
}
