namespace KvMesh.Client;

/// <summary>How a client moves block bytes.</summary>
public enum ClientTransport
{
    Tcp,
    Unix,
    SharedMemory,
}

/// <summary>What became of a read.</summary>
public enum GetStatus
{
    /// <summary>The bytes are in the destination, verified.</summary>
    Hit,

    /// <summary>The node does not have the block, or had bytes that did not match their checksums.</summary>
    Miss,

    /// <summary>The destination cannot hold the block: <see cref="GetResult.Bytes"/> says what it needs.</summary>
    TooSmall,

    /// <summary>The node could not be reached in time, or refused the request. Treat it as a miss.</summary>
    Failed,
}

/// <summary>Outcome of a read.</summary>
/// <param name="Status">What became of it.</param>
/// <param name="Bytes">Bytes written to the destination; for <see cref="GetStatus.TooSmall"/> the bytes that the block needs.</param>
public readonly record struct GetResult(GetStatus Status, int Bytes)
{
    /// <summary>Whether the bytes are in the destination.</summary>
    public bool IsHit => Status == GetStatus.Hit;
}

/// <summary>What became of a write.</summary>
public enum PutStatus
{
    /// <summary>The block is readable.</summary>
    Stored,

    /// <summary>The node had the block already; the bytes were not kept.</summary>
    AlreadyPresent,

    /// <summary>The node has no room for it now.</summary>
    Full,

    /// <summary>The payload is longer than the node accepts.</summary>
    TooLarge,

    /// <summary>The node could not be reached in time, or refused the request.</summary>
    Failed,
}

/// <summary>The part of a prefix that the node has.</summary>
/// <param name="Blocks">Blocks present from the first on, without a gap; 0 also when the node could not be asked.</param>
/// <param name="LeasedUntil">Unix milliseconds until which they stay readable; 0 without a lease.</param>
/// <param name="Elsewhere">The last so many of them are not at the node itself: it would fetch them from other nodes or from Redis.</param>
public readonly record struct PrefixMatch(int Blocks, long LeasedUntil, int Elsewhere = 0);

/// <summary>What happened to a block. Sent on the wire: append only.</summary>
public enum BlockChangeKind : byte
{
    Stored = 1,
    Demoted = 2,
    Promoted = 3,
    Removed = 4,

    /// <summary>Every block of a scope went at once; the key is empty.</summary>
    Purged = 5,

    /// <summary>A worker that is connected to the node has the block in its own memory.</summary>
    Held = 6,

    /// <summary>No worker has it any more. The tiers say whether the node has.</summary>
    LetGo = 7,

    /// <summary>Events were lost between this one's sequence number and the last one seen: list the node anew.</summary>
    Gap = 255,
}

/// <summary>One entry of a node's event log, as a watcher of its own tenant sees it.</summary>
/// <param name="Sequence">Position in the log of this incarnation; numbers of other tenants' events are missing.</param>
/// <param name="Kind">What happened.</param>
/// <param name="Key">Key of the block: scope and chain hash, or an opaque key.</param>
/// <param name="PayloadBytes">Bytes of the block.</param>
/// <param name="Tiers">Where it is now: 1 RAM, 2 disk, 3 both; with <see cref="BlockChangeKind.Held"/> 4 more, the memory of a worker.</param>
public readonly record struct BlockChange(long Sequence, BlockChangeKind Kind, ReadOnlyMemory<byte> Key, long PayloadBytes, int Tiers);

/// <summary>The first connection to a node failed or was refused; the message says why.</summary>
public sealed class KvMeshConnectException : IOException
{
    public KvMeshConnectException()
    {
    }

    public KvMeshConnectException(string message)
        : base(message)
    {
    }

    public KvMeshConnectException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>The node answered and does not want this client: its token, its tenant or its version.</summary>
    public bool IsRefusal { get; init; }
}
