using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Feed;

/// <summary>A change of capacity that a viewer thinks of.</summary>
/// <param name="MoreHostBytes">Bytes of RAM more than now.</param>
/// <param name="MoreDiskBytes">Bytes of disk more than now.</param>
/// <param name="CodecRatio">Bytes of a block over the bytes that it is kept in; 1 changes nothing.</param>
public readonly record struct CapacityChange(long MoreHostBytes, long MoreDiskBytes, double CodecRatio)
{
    public static CapacityChange None { get; } = new(0, 0, 1);
}

/// <summary>What more memory would change.</summary>
public sealed record CapacityPicture : Picture
{
    public CapacityChange Change { get; init; }

    public AdviceStatus? Advice { get; init; }

    /// <summary>Why the node gives no advice, in its own words.</summary>
    public string? Refusal { get; init; }
}
