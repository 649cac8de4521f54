namespace KvMesh.Engine.Advice;

/// <summary>A change of capacity that an operator thinks of.</summary>
/// <param name="MoreHostBytes">Bytes of RAM more than now, for all arenas together.</param>
/// <param name="MoreDiskBytes">Bytes of disk more than now.</param>
/// <param name="CodecRatio">Bytes of a block as it was sent over the bytes in which RAM and disk would keep it; 1 changes nothing.</param>
public readonly record struct AdviceChange(long MoreHostBytes, long MoreDiskBytes, double CodecRatio);

/// <summary>What a change would do. Blocks are taken to leave in LRU order, and to count in RAM as what was sent, up to whole granules.</summary>
/// <param name="HostBytes">RAM now.</param>
/// <param name="DiskBytes">Disk now; 0: there is none.</param>
/// <param name="Tenants">What each tenant asks for, in the arena that it shares.</param>
public sealed record AdviceSnapshot(long HostBytes, long DiskBytes, AdvicePart All, IReadOnlyList<TenantAdvice> Tenants);

/// <summary>Shares of what was asked that are found, each 0 to 1.</summary>
/// <param name="Touches">Blocks asked for; half the weight for each hour that has passed.</param>
/// <param name="HostNow">In RAM of this size.</param>
/// <param name="HostThen">In RAM after the change.</param>
/// <param name="AllNow">In RAM and disk of this size.</param>
/// <param name="AllThen">In both after the change.</param>
/// <param name="Largest">With no bound at all.</param>
public sealed record AdvicePart(double Touches, double HostNow, double HostThen, double AllNow, double AllThen, double Largest);

/// <summary>What one tenant asks for.</summary>
/// <param name="Tenant">Its name; null: all tenants that have no curve of their own.</param>
public sealed record TenantAdvice(string? Tenant, AdvicePart Part);
