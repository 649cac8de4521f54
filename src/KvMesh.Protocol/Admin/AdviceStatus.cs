namespace KvMesh.Protocol.Admin;

/// <summary>What a change of capacity would do to the share of blocks that a node finds; estimated from a sample of what was asked, the last hours most.</summary>
/// <param name="HostBytes">RAM for blocks now.</param>
/// <param name="DiskBytes">Disk for blocks now; 0: there is none.</param>
/// <param name="MoreHostBytes">The change: bytes of RAM.</param>
/// <param name="MoreDiskBytes">The change: bytes of disk.</param>
/// <param name="CodecRatio">The change: bytes of a block as sent over the bytes that it is kept in; 1 changes nothing.</param>
/// <param name="SampledBlocks">Blocks that the estimate follows.</param>
/// <param name="SampledShare">Share of all blocks that it follows, 0 to 1; of several arenas, the least.</param>
/// <param name="CurveBytes">Sizes of RAM and disk together that curves are given at, rising by equal factors.</param>
/// <param name="All">All tenants together.</param>
/// <param name="Tenants">Each tenant; those without a curve of their own are one entry.</param>
public sealed record AdviceStatus(
    long HostBytes, long DiskBytes, long MoreHostBytes, long MoreDiskBytes, double CodecRatio, int SampledBlocks, double SampledShare,
    IReadOnlyList<long> CurveBytes, AdviceShares All, IReadOnlyList<TenantAdviceStatus> Tenants);

/// <summary>What one tenant would see.</summary>
/// <param name="Tenant">Its name; null: all that have no curve of their own.</param>
public sealed record TenantAdviceStatus(string? Tenant, AdviceShares Shares);

/// <summary>Shares of what was asked that are found, each 0 to 1, as in a cache whose blocks leave in LRU order.</summary>
/// <param name="Touches">Blocks asked for; each hour that has passed halves their weight.</param>
/// <param name="SampledTouches">Those of them that the shares are estimated from, weighed alike.</param>
/// <param name="Margin">How far the shares may be off on average over a curve; nine of ten were nearer in trials. 0: every block is followed.</param>
/// <param name="HostNow">Found in RAM of the present size.</param>
/// <param name="HostThen">Found in RAM after the change.</param>
/// <param name="NodeNow">Found in RAM or on disk of the present sizes.</param>
/// <param name="NodeThen">Found in either after the change.</param>
/// <param name="Largest">Found if nothing ever left.</param>
/// <param name="Curve">Found with RAM and disk of each of the sizes that curves are given at.</param>
public sealed record AdviceShares(
    double Touches, double SampledTouches, double Margin, double HostNow, double HostThen, double NodeNow, double NodeThen, double Largest, IReadOnlyList<double> Curve);
