using System.Collections.Concurrent;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// The scopes of one tenant. Clients invent their names, so that they are bounded: at most <see cref="MaxScopes"/>, and those that hold no
/// block are forgotten. What a forgotten scope was purged of stays purged: every scope that comes later begins at the
/// <see cref="Floor"/>, an epoch that no forgotten one was above.
/// <para>Reads take no lock; what adds, replaces or forgets a scope takes one, so that each name has one scope at any time.</para>
/// </summary>
internal sealed class ScopeTable(Tenant tenant)
{
    /// <summary>Models and revisions of one tenant. A fleet serves dozens; a client that invents more is refused.</summary>
    public const int MaxScopes = 4096;

    /// <summary>From here on scopes without blocks are forgotten; below they cost nothing worth a look.</summary>
    private const int ForgetAbove = MaxScopes / 2;

    private readonly ConcurrentDictionary<(string Model, string Revision), Scope> _scopes = new();
    private readonly Lock _lock = new();

    /// <summary>Scopes with a model.</summary>
    private int _count;

    /// <summary>Epoch of scopes that are not in the table.</summary>
    public uint Floor { get; private set; }

    /// <summary>Blocks of all scopes.</summary>
    public long Blocks
    {
        get
        {
            var blocks = 0L;
            foreach (var (_, scope) in _scopes)
            {
                blocks += scope.Blocks;
            }

            return blocks;
        }
    }

    /// <summary>Epoch of a scope, whether it is in the table or not.</summary>
    public uint EpochOf(string model, string revision) => _scopes.TryGetValue((model, revision), out var scope) ? scope.Epoch : Floor;

    /// <summary>
    /// The scope of that name, made when it is missing. Null when the tenant has as many as it may; the one of blocks without a model is
    /// always there.
    /// </summary>
    public Scope? Of(string model, string revision)
    {
        if (_scopes.TryGetValue((model, revision), out var known))
        {
            return known;
        }

        lock (_lock)
        {
            if (_scopes.TryGetValue((model, revision), out known))
            {
                return known;
            }

            return _count < MaxScopes || model.Length == 0 ? Add_NeedsLock(model, revision, Floor) : null;
        }
    }

    /// <summary>Takes up what was stored before the process started: first the floor, then scopes.</summary>
    public void RestoreFloor(uint floor) => Floor = floor;

    /// <inheritdoc cref="RestoreFloor"/>
    public void Restore(string model, string revision, uint epoch)
    {
        lock (_lock)
        {
            Add_NeedsLock(model, revision, epoch);
        }
    }

    /// <summary>Puts an empty scope in the place of each that matches. Null matches all.</summary>
    public long Purge(string? model, string? revision)
    {
        lock (_lock)
        {
            var blocks = 0L;
            foreach (var (name, scope) in _scopes)
            {
                if ((model is null || model == name.Model) && (revision is null || revision == name.Revision))
                {
                    _scopes[name] = new Scope(tenant, name.Model, name.Revision, scope.Epoch + 1);
                    scope.MarkPurged();
                    blocks += scope.Blocks;
                }
            }

            return blocks;
        }
    }

    /// <summary>
    /// Forgets scopes without blocks when there are many. A write that is under way into one of them ends as if its block had been dropped at
    /// once. True when epochs must be stored again, before anything else is forgotten.
    /// </summary>
    public bool ForgetEmpty()
    {
        lock (_lock)
        {
            if (_count <= ForgetAbove)
            {
                return false;
            }

            var floor = Floor;
            foreach (var (name, scope) in _scopes)
            {
                if (scope.Blocks == 0)
                {
                    _scopes.TryRemove(name, out _);
                    _count -= CountOf(name.Model);
                    scope.MarkPurged();
                    floor = Math.Max(floor, scope.Epoch);
                }
            }

            var hasRisen = floor != Floor;
            Floor = floor;
            return hasRisen;
        }
    }

    /// <summary>The floor and every scope that stands elsewhere, of one moment.</summary>
    public (uint Floor, IReadOnlyList<Scope> Others) Epochs()
    {
        lock (_lock)
        {
            return (Floor, [.. _scopes.Values.Where(scope => scope.Epoch != Floor)]);
        }
    }

    private Scope Add_NeedsLock(string model, string revision, uint epoch)
    {
        var scope = new Scope(tenant, model, revision, epoch);
        _count += _scopes.ContainsKey((model, revision)) ? 0 : CountOf(model);
        _scopes[(model, revision)] = scope;
        return scope;
    }

    private static int CountOf(string model) => model.Length == 0 ? 0 : 1;
}
