using System.Collections.Immutable;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Placement;

/// <summary>
/// Blocks that are asked for as one: a chain from its first block to its tail. Two prefixes may share their first blocks; an order for
/// the second then finds them where the first has put them.
/// </summary>
public sealed record ChainPrefix
{
    public required string Tenant { get; init; }

    /// <summary>Digest of the last block: the name of the prefix within the cluster.</summary>
    public required KeyDigest Tail { get; init; }

    /// <summary>Keys from the first block to the tail. At least one.</summary>
    public required ImmutableArray<ReadOnlyMemory<byte>> Keys { get; init; }

    /// <summary>Payload bytes of all blocks.</summary>
    public required long Bytes { get; init; }

    public int Blocks => Keys.Length;

    /// <summary>Bytes of a run of it, taking its blocks as equal in size.</summary>
    public long BytesOf(int blocks) => Bytes / Blocks * blocks;
}
