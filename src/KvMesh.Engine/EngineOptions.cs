using System.ComponentModel.DataAnnotations;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.FarTiers;
using KvMesh.Engine.Retention;
using KvMesh.Protocol;

namespace KvMesh.Engine;

/// <summary>What one engine may use. Bound from the section <c>Engine</c>; every value is checked once, at start.</summary>
public sealed class EngineOptions
{
    /// <summary>Folder of the node's state: lock, secret, scopes and disk segments. It also names the arena.</summary>
    [Required]
    public string DataDirectory { get; set; } = "";

    /// <summary>Folder of a memory file system where arenas live.</summary>
    [Required]
    public string ArenaDirectory { get; set; } = "/dev/shm";

    /// <summary>Bytes of RAM for blocks, over all isolation groups. 0: a quarter of the machine's memory.</summary>
    [Range(0, long.MaxValue)]
    public long ArenaBytes { get; set; }

    /// <summary>Most blocks resident in RAM; 0: as many as fit.</summary>
    [Range(0, int.MaxValue)]
    public int MaxResidentBlocks { get; set; }

    /// <summary>In which order blocks leave RAM.</summary>
    [EnumDataType(typeof(RetentionKind))]
    public RetentionKind Retention { get; set; } = RetentionKind.Hazard;

    /// <summary>Most blocks known in any tier; sizes the index. 8 bytes each are set aside.</summary>
    [Range(1024, 1 << 28)]
    public int MaxBlocks { get; set; } = 1 << 21;

    /// <summary>The disk tier. A capacity of 0 switches it off; an empty directory stands for <c>disk</c> in the data directory.</summary>
    public DiskOptions Disk { get; } = new();

    /// <summary>Blocks that lie encoded in RAM.</summary>
    public HostCodingOptions HostCoding { get; } = new();

    /// <summary>Tiers beyond this node: how long, and how many at a time.</summary>
    public FarTierOptions FarTiers { get; } = new();

    /// <summary>Whether to back the whole arena with memory in the background, so that no put waits for a page.</summary>
    public bool Prefault { get; set; } = true;

    /// <summary>Whether a clean stop removes the arena. For nodes whose data directory does not outlive them.</summary>
    public bool RemoveArenaOnStop { get; set; }

    /// <summary>Largest part of its tenant's RAM that leases of one connection may hold: existence leases, and as much again in place.</summary>
    [Range(0.0, 1.0)]
    public double ConnectionLeaseShare { get; set; } = 0.10;

    /// <summary>Largest part of its RAM that leases of one tenant may hold: existence leases, and as much again in place.</summary>
    [Range(0.0, 1.0)]
    public double TenantLeaseShare { get; set; } = 0.25;

    /// <summary>Largest part of RAM that pins of sequences may keep from being evicted; 0: this node keeps no copies for pins.</summary>
    [Range(0.0, 1.0)]
    public double MaxHeldShare { get; set; } = 0.5;

    /// <summary>Longest existence lease that a client gets, whatever it asks.</summary>
    public TimeSpan MaxExistenceLease { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>Longest residence lease; afterwards the extent may be reused and a late reader sees a miss.</summary>
    public TimeSpan MaxResidenceLease { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long the writer of a block that is read while it is written may publish nothing, before the write ends and its readers are told.
    /// </summary>
    public TimeSpan ProgressiveWriteTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Of how many reads on doors whose clients cannot verify one is verified here; 1 verifies all, 0 none.</summary>
    [Range(0, 1 << 20)]
    public int VerifyOneReadIn { get; set; } = 16;

    /// <summary>Bytes per second that the scrubber reads; 0 switches it off.</summary>
    [Range(0, long.MaxValue)]
    public long ScrubBytesPerSecond { get; set; } = 64L * 1024 * 1024;

    /// <summary>Longest time that a clean stop spends on saving RAM blocks to disk.</summary>
    public TimeSpan StopBudget { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>The node's tenants. Empty: only <c>default</c>.</summary>
    public IList<TenantOptions> Tenants { get; } = [];

    /// <summary>Largest payload accepted, at most <see cref="Limits.MaxBlockBytes"/>.</summary>
    [Range(1, Limits.MaxBlockBytes)]
    public int MaxBlockBytes { get; set; } = Limits.MaxBlockBytes;
}

/// <summary>One tenant of the node.</summary>
public sealed class TenantOptions
{
    /// <summary>Name, at most <see cref="Limits.MaxTenantBytes"/> bytes of UTF-8.</summary>
    [Required]
    public string Name { get; set; } = "";

    /// <summary>Tenants of one group share an arena and cannot map it; the tenant's own name, the default, gives it an arena of its own.</summary>
    public string? IsolationGroup { get; set; }

    /// <summary>Part of the arena that others cannot evict this tenant from; 0: an equal part of what is left.</summary>
    [Range(0.0, 1.0)]
    public double Share { get; set; }

    /// <summary>
    /// Whether copies that have lost something are misses to all reads of this tenant, whatever door they come through: for clients that cannot say it
    /// themselves, as those that speak Redis's protocol. Off: each read, or its connection, says what it wants.
    /// </summary>
    public bool LosslessReads { get; set; }
}
