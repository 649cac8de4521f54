using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Blocks;

/// <summary>What became of a wish to write a block.</summary>
public enum ReserveStatus
{
    /// <summary>Space is reserved: fill it, then seal or abort.</summary>
    Reserved,

    /// <summary>The content is here already; the bytes need not be sent.</summary>
    AlreadyPresent,

    /// <summary>
    /// No space could be freed: what is left is leased, pinned or another tenant's share. Or the tenant has blocks of as many models and
    /// revisions as it may.
    /// </summary>
    Full,

    /// <summary>The payload is longer than the node accepts.</summary>
    TooLarge,
}

/// <summary>What became of a sealed reservation.</summary>
public enum SealStatus
{
    /// <summary>The block is visible.</summary>
    Sealed,

    /// <summary>Another writer sealed the same content first; these bytes were dropped.</summary>
    AlreadyPresent,

    /// <summary>The condition of the write did not hold; nothing changed.</summary>
    ConditionFailed,

    /// <summary>The index or the descriptor table is at its limit; nothing changed.</summary>
    Full,
}

/// <summary>When a seal may take effect, as SET's NX and XX.</summary>
public enum SealCondition
{
    Always,
    IfAbsent,
    IfPresent,
}

/// <summary>How a block becomes visible.</summary>
public readonly record struct SealOptions
{
    public SealCondition Condition { get; init; }

    /// <summary>Unix milliseconds after which the block is gone; 0 never.</summary>
    public long ExpiresAt { get; init; }

    /// <summary>Keeps the expiry of the block that is replaced.</summary>
    public bool KeepExpiry { get; init; }

    /// <summary>Asked at the moment of the seal: true refuses the block. Null: nobody objects. It must be quick and call nobody.</summary>
    internal Func<bool>? Unless { get; init; }
}

/// <summary>Why a block is read: only a use counts for retention.</summary>
public enum ReadIntent
{
    /// <summary>A client uses the block.</summary>
    Use,

    /// <summary>A look that must not change what is kept: inspection, scrubbing, saving.</summary>
    Inspect,
}

/// <summary>Where the bytes of a block are.</summary>
[Flags]
public enum BlockTiers
{
    None = 0,
    Host = 1,
    Disk = 2,

    /// <summary>The memory of a worker that is connected to this node.</summary>
    Gpu = 4,
}

/// <summary>What is known of a block without reading it.</summary>
public readonly record struct BlockInfo(
    long PayloadBytes, BlockTiers Tiers, bool IsContent, long ExpiresAt, uint Hits, uint TableChecksum, string Model, string Revision)
{
    /// <summary>Whether blocks that follow it in a chain are here.</summary>
    public bool IsFollowed { get; init; }

    /// <summary>Payload that comes with it when it is fetched from elsewhere: a companion brings its block.</summary>
    public long FetchBytes { get; init; }

    /// <summary>What it has lost; null: nothing, and a reader who wants every bit gets it.</summary>
    public Loss? Loss { get; init; }

    /// <summary>Whether no copy of it may lose anything.</summary>
    public bool IsLosslessOnly { get; init; }

    /// <summary>What its copy on disk has lost, where a better one is in RAM; null: nothing more.</summary>
    public Loss? LossBelow { get; init; }

    /// <summary>How it lies on disk, when it was inspected alone; null: as it is, or not at all.</summary>
    public StoredForm? OnDisk { get; init; }
}

/// <summary>An encoding of a block.</summary>
/// <param name="Codec">Kind of the codec.</param>
/// <param name="Bytes">Bytes of the encoding.</param>
public readonly record struct StoredForm(ushort Codec, int Bytes);

/// <summary>Is shown a block. The key is valid during the call.</summary>
public delegate void BlockVisitor(ReadOnlySpan<byte> key, in BlockInfo info);

/// <summary>The part of a prefix that is here.</summary>
/// <param name="Blocks">Blocks present from the first on, without a gap.</param>
/// <param name="LeasedUntil">Unix milliseconds until which they stay readable; 0 when nothing matched or the lease was refused.</param>
public readonly record struct PrefixMatch(int Blocks, long LeasedUntil)
{
    /// <summary>Of the blocks, the last ones that other tiers believe to hold: a promise without a lease, which may become a miss.</summary>
    public int Elsewhere { get; init; }
}

/// <summary>What became of a wish to keep a block for a pin.</summary>
public enum HoldStatus
{
    /// <summary>Its bytes match their checksums, and it stays until the time is over.</summary>
    Held,

    /// <summary>It is not here, or was not what was sealed and is gone by now.</summary>
    Missing,

    /// <summary>As much of the node is kept for pins as may be.</summary>
    Full,
}
