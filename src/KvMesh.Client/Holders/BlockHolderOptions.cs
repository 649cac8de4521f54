using KvMesh.Protocol.Keys;

namespace KvMesh.Client.Holders;

/// <summary>A block that a process keeps in memory of its own.</summary>
/// <param name="Scope">Scope of its key.</param>
/// <param name="Hash">Its chain hash, 32 bytes.</param>
/// <param name="ParentHash">Hash of the block before it in its chain, 32 bytes; empty for the first.</param>
/// <param name="Bytes">Bytes of its payload.</param>
public sealed record HeldBlock(BlockScope Scope, ReadOnlyMemory<byte> Hash, ReadOnlyMemory<byte> ParentHash, int Bytes);

/// <summary>Copies the payload of a block into <paramref name="destination"/>, which has as many bytes. False: the block is not there any more.</summary>
/// <param name="block">As it was announced.</param>
/// <param name="destination">Room for the payload; the caller's again when the task is complete.</param>
/// <param name="cancellationToken">Cancelled when the node is lost.</param>
public delegate ValueTask<bool> BlockFiller(HeldBlock block, Memory<byte> destination, CancellationToken cancellationToken);

/// <summary>How a process hands over blocks of its own memory.</summary>
public sealed record BlockHolderOptions
{
    /// <summary>Gives the bytes of a block. From several threads, at most <see cref="HandOvers"/> at a time. What it throws counts as a block that is not there any more.</summary>
    public required BlockFiller Fill { get; init; }

    /// <summary>
    /// Is told of blocks that must not be handed out any more, because they were removed in the mesh, or may have been while the node was lost. They are not announced any longer
    /// by then. Short, and it must not throw.
    /// </summary>
    public Action<HeldBlock>? Forgotten { get; init; }

    /// <summary>Most blocks that are handed over at a time, 1 to 64.</summary>
    public int HandOvers { get; init; } = 2;

    /// <exception cref="ArgumentException">A value is out of its range.</exception>
    internal void Check()
    {
        if (HandOvers is < 1 or > 64)
        {
            throw new ArgumentException($"{nameof(HandOvers)} is {HandOvers}; it must be 1 to 64.", nameof(HandOvers));
        }
    }
}

/// <summary>What became of an announcement.</summary>
public enum AnnounceStatus
{
    /// <summary>The node knows that the blocks are here.</summary>
    Announced,

    /// <summary>The node cannot be reached now; they are announced as soon as it is there again.</summary>
    Pending,

    /// <summary>The node does not take them: it has as many announcements as it may, or the caller may not write. They are not announced later.</summary>
    Refused,
}

/// <summary>Outcome of an announcement.</summary>
/// <param name="Status">What became of it.</param>
/// <param name="Refusal">Why the node refused; else empty.</param>
public readonly record struct AnnounceResult(AnnounceStatus Status, string Refusal = "");
