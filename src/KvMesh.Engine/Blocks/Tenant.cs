using System.Security.Cryptography;
using System.Text;
using KvMesh.Engine.Advice;
using KvMesh.Engine.Host;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Retention;

namespace KvMesh.Engine.Blocks;

/// <summary>One tenant: the owner of keys. Comes from the credential of a connection, never from a key.</summary>
public sealed class Tenant
{
    /// <summary>Name of the tenant that connections without a credential belong to.</summary>
    public const string DefaultName = "default";

    internal Tenant(string name, HostTier host, long shareBytes, IRetentionPolicy<Block> retention, LeaseBudget leases, ChainLedger chains)
    {
        Name = name;
        NameBytes = Encoding.UTF8.GetBytes(name);
        DigestId = BitConverter.ToUInt32(SHA256.HashData(NameBytes));
        Host = host;
        ShareBytes = shareBytes;
        Retention = retention;
        Leases = leases;
        Chains = chains;
        Scopes = new ScopeTable(this);
        Reuse = host.Advisor.Join();
    }

    public string Name { get; }

    /// <summary>Path of the arena file that holds this tenant's blocks; readers of shared memory map it read-only.</summary>
    public string ArenaPath => Host.Path;

    /// <summary>Whether no other tenant's bytes are in that arena, so that it may be mapped by this tenant.</summary>
    public bool OwnsArena => Host.Tenants.Count == 1;

    /// <summary>Whether copies that have lost something are misses to all its reads.</summary>
    public bool LosslessReads { get; internal init; }

    internal byte[] NameBytes { get; }

    /// <summary>What separates this tenant's digests from the others'. Equal in every process that knows the name.</summary>
    internal uint DigestId { get; }

    internal HostTier Host { get; }

    /// <summary>Bytes of the arena from which other tenants cannot evict this one.</summary>
    internal long ShareBytes { get; }

    /// <summary>Order in which this tenant's resident blocks leave. Used under the host tier's retention lock.</summary>
    internal IRetentionPolicy<Block> Retention { get; }

    /// <summary>What of this tenant is worth a place below RAM, where that is full.</summary>
    internal AdmissionBar Admission { get; } = new();

    /// <summary>Its raw extents that need not stay; null where no block lies encoded in RAM.</summary>
    internal RawExtents? Raw { get; set; }

    internal LeaseBudget Leases { get; }

    internal ChainLedger Chains { get; }

    internal TenantCounters Counters { get; } = new();

    /// <summary>Where the advisor of its arena counts what it asks for.</summary>
    internal TenantReuse Reuse { get; }

    /// <summary>Bytes of extents that this tenant has in its arena.</summary>
    internal long HostBytes => Interlocked.Read(ref Counters.HostBytes);

    /// <summary>Models and revisions that it has blocks of.</summary>
    internal ScopeTable Scopes { get; }

    /// <summary>One of its blocks is in no tier any more that is this node's, to make room for others.</summary>
    internal void NoteLeft(Block block)
    {
        if (Retention.ExpectedUses(block) is { } expected)
        {
            Admission.NoteLeft(expected);
        }
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
