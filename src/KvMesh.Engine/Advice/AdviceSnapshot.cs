namespace KvMesh.Engine.Advice;

/// <summary>A change of capacity that an operator thinks of.</summary>
/// <param name="MoreHostBytes">Bytes of RAM more than now, for all arenas together.</param>
/// <param name="MoreDiskBytes">Bytes of disk more than now.</param>
/// <param name="CodecRatio">Bytes of a block as it was sent over the bytes in which RAM and disk would keep it; 1 changes nothing.</param>
public readonly record struct AdviceChange(long MoreHostBytes, long MoreDiskBytes, double CodecRatio);

/// <summary>What a change would do. Blocks are taken to leave in LRU order, and to count in RAM as what was sent, up to whole granules.</summary>
/// <param name="HostBytes">RAM now.</param>
/// <param name="DiskBytes">Disk now; 0: there is none.</param>
/// <param name="SampledBlocks">Blocks that are followed, in all arenas.</param>
/// <param name="SampledShare">Share of all blocks that are followed, 0 to 1: in the arena where it is least.</param>
/// <param name="CurveBytes">Sizes of RAM and disk together that the curves are given at, rising by equal factors, from well below what there is to well above the change.</param>
/// <param name="Tenants">What each tenant asks for, in the arena that it shares.</param>
public sealed record AdviceSnapshot(
    long HostBytes, long DiskBytes, int SampledBlocks, double SampledShare, IReadOnlyList<long> CurveBytes, AdvicePart All, IReadOnlyList<TenantAdvice> Tenants);

/// <summary>Shares of what was asked that are found, each 0 to 1.</summary>
/// <param name="Touches">Blocks asked for; half the weight for each hour that has passed.</param>
/// <param name="SampledTouches">Those of them that the shares are estimated from, weighed alike.</param>
/// <param name="Margin">How far the shares may be off on average over a curve: nine of ten were nearer.</param>
/// <param name="HostNow">In RAM of this size.</param>
/// <param name="HostThen">In RAM after the change.</param>
/// <param name="AllNow">In RAM and disk of this size.</param>
/// <param name="AllThen">In both after the change.</param>
/// <param name="Largest">With no bound at all.</param>
/// <param name="Curve">In a cache of each of the snapshot's sizes.</param>
public sealed record AdvicePart(
    double Touches, double SampledTouches, double Margin, double HostNow, double HostThen, double AllNow, double AllThen, double Largest, IReadOnlyList<double> Curve);

/// <summary>What one tenant asks for.</summary>
/// <param name="Tenant">Its name; null: all tenants that have no curve of their own.</param>
public sealed record TenantAdvice(string? Tenant, AdvicePart Part);
