using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using KvMesh.Engine.Host;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Blocks;

/// <summary>One tenant: the owner of keys. Comes from the credential of a connection, never from a key.</summary>
public sealed class Tenant
{
    /// <summary>Name of the tenant that connections without a credential belong to.</summary>
    public const string DefaultName = "default";

    private readonly ConcurrentDictionary<(string Model, string Revision), Scope> _scopes = new();

    internal Tenant(string name, HostTier host, long shareBytes, IRetentionPolicy retention, LeaseBudget leases, ChainLedger chains)
    {
        Name = name;
        NameBytes = Encoding.UTF8.GetBytes(name);
        DigestId = BitConverter.ToUInt32(SHA256.HashData(NameBytes));
        Host = host;
        ShareBytes = shareBytes;
        Retention = retention;
        Leases = leases;
        Chains = chains;
    }

    public string Name { get; }

    /// <summary>Path of the arena file that holds this tenant's blocks; readers of shared memory map it read-only.</summary>
    public string ArenaPath => Host.Path;

    /// <summary>Whether no other tenant's bytes are in that arena, so that it may be mapped by this tenant.</summary>
    public bool OwnsArena => Host.Tenants.Count == 1;

    internal byte[] NameBytes { get; }

    /// <summary>What separates this tenant's digests from the others'. Equal in every process that knows the name.</summary>
    internal uint DigestId { get; }

    internal HostTier Host { get; }

    /// <summary>Bytes of the arena from which other tenants cannot evict this one.</summary>
    internal long ShareBytes { get; }

    /// <summary>Order in which this tenant's resident blocks leave. Used under the host tier's retention lock.</summary>
    internal IRetentionPolicy Retention { get; }

    internal LeaseBudget Leases { get; }

    internal ChainLedger Chains { get; }

    internal TenantCounters Counters { get; } = new();

    /// <summary>Bytes of extents that this tenant has in its arena.</summary>
    internal long HostBytes => Interlocked.Read(ref Counters.HostBytes);

    internal IEnumerable<Scope> Scopes => _scopes.Values;

    internal long Blocks => _scopes.Values.Sum(scope => scope.Blocks);

    internal Scope ScopeOf(string model, string revision) =>
        _scopes.TryGetValue((model, revision), out var scope)
            ? scope
            : _scopes.GetOrAdd((model, revision), static (key, tenant) => new Scope(tenant, key.Model, key.Revision, 0), this);

    /// <summary>Takes up a scope's epoch from before the process started.</summary>
    internal void RestoreScope(string model, string revision, uint epoch) =>
        _scopes[(model, revision)] = new Scope(this, model, revision, epoch);

    /// <summary>Puts an empty scope in the place of each that matches. Null matches all.</summary>
    internal long Purge(string? model, string? revision)
    {
        var blocks = 0L;
        foreach (var (name, scope) in _scopes)
        {
            if ((model is null || model == name.Model)
                && (revision is null || revision == name.Revision)
                && _scopes.TryUpdate(name, new Scope(this, name.Model, name.Revision, scope.Epoch + 1), scope))
            {
                scope.MarkPurged();
                blocks += scope.Blocks;
            }
        }

        return blocks;
    }
}

/// <summary>Counts of one tenant since the process started, and its bytes now.</summary>
internal sealed class TenantCounters
{
    public long HostBytes;
    public long Hits;
    public long Misses;
}

/// <summary>The tenants of a node. They are few and known at start; a name that is not configured has no tenant.</summary>
public sealed class TenantTable
{
    private readonly Dictionary<string, Tenant> _byName;

    internal TenantTable(IReadOnlyList<Tenant> tenants)
    {
        All = tenants;
        _byName = tenants.ToDictionary(tenant => tenant.Name, StringComparer.Ordinal);
    }

    public IReadOnlyList<Tenant> All { get; }

    /// <summary>The tenant of that name, or null.</summary>
    public Tenant? Find(string name) => _byName.GetValueOrDefault(name);
}
