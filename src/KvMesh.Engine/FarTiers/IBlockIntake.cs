using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.FarTiers;

/// <summary>
/// Where a far tier puts the block that it fetches: space in the arena, so that bytes go from a socket to where they stay. The engine
/// checks every chunk against the checksums of the origin and seals only what is complete. One thread at a time.
/// </summary>
public interface IBlockIntake
{
    FetchPriority Priority { get; }

    /// <summary>Whether a copy that has lost something is no answer: <see cref="FetchOutcome.Lossy"/> then.</summary>
    bool LosslessOnly => false;

    /// <summary>Time left; afterwards a hit is a miss. Zero once the engine stops.</summary>
    TimeSpan Remaining { get; }

    /// <summary>Bytes that were asked for and accepted so far, in whole chunks from the first without a gap.</summary>
    int AcceptedPrefixBytes { get; }

    /// <summary>Where the payload goes, once it is reserved. Not zeroed.</summary>
    Span<byte> Payload { get; }

    /// <summary>Tells the size of the block before its origin has, which gives the time that such a size may take.</summary>
    void Expect(int payloadBytes);

    /// <summary>
    /// Takes space for the block of an origin. A second call with the same size and checksum keeps what was accepted; any other begins
    /// anew. False: there is no room, the block is too large, is no content, or is here by now: give up.
    /// </summary>
    bool TryReserve(in BlockOrigin origin);

    /// <summary>
    /// Compares whole chunks that lie in <see cref="Payload"/> with their checksums and accepts those that match.
    /// </summary>
    /// <param name="firstChunk">Index of the first chunk of <see cref="Protocol.Limits.ChecksumChunkBytes"/>.</param>
    /// <param name="checksums">One CRC-32C per chunk, 4 bytes each, little-endian, as the origin sent them.</param>
    /// <returns>False at the first chunk that is not what the origin promised; it is counted.</returns>
    bool TryAccept(int firstChunk, ReadOnlySpan<byte> checksums);
}

/// <summary>What an origin says of a block before its bytes.</summary>
public readonly ref struct BlockOrigin
{
    public int PayloadBytes { get; init; }

    /// <summary>CRC-32C over the whole checksum table: two copies with one value are the same bytes.</summary>
    public uint TableChecksum { get; init; }

    /// <summary>What this copy has lost; null: nothing.</summary>
    public Loss? Loss { get; init; }

    /// <summary>Unix milliseconds after which the block is gone; 0 never.</summary>
    public long ExpiresAt { get; init; }

    /// <summary>Traits as the first writer gave them.</summary>
    public BlockTraits Traits { get; init; }
}

/// <summary>A block that a far tier may take. Spans are valid during the call only.</summary>
public readonly ref struct LeavingBlock
{
    public Tenant Tenant { get; init; }

    public ReadOnlySpan<byte> Key { get; init; }

    public ReadOnlySpan<byte> Payload { get; init; }

    /// <summary>One CRC-32C per chunk.</summary>
    public ReadOnlySpan<uint> Checksums { get; init; }

    public BlockOrigin Origin { get; init; }

    /// <summary>Whether it is worth being kept: it was used since it was written, is promised to somebody, or is not known to be unlikely to be used.</summary>
    public bool IsWanted { get; init; }

    /// <summary>
    /// Whether the block is still one that clients may see, asked now: a tier that writes down which purges it knows of asks after it has
    /// looked that up, so that it never writes a purged block as one from after the purge.
    /// </summary>
    public bool IsStillKept => Source is null || (!Source.IsDead && !Source.Scope.IsPurged);

    internal Block? Source { get; init; }

    /// <summary>What describes the block, as <see cref="Coding.CodedBlock.Companion"/> has it.</summary>
    /// <param name="room">Where it is copied to.</param>
    public ReadOnlySpan<byte> ReadCompanion(Span<byte> room) => Source is null ? default : Coding.CompanionBytes.Read(Source, room);
}
