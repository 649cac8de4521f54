using System.Runtime.InteropServices;
using KvMesh.Protocol.Keys;

namespace KvMesh.Protocol.Arena;

/// <summary>State of a descriptor. Stored in shared memory: append only.</summary>
public enum DescriptorState : uint
{
    /// <summary>It describes nothing, or a block that is gone for clients though some of them still read it.</summary>
    Free = 0,

    /// <summary>Its fields are being written.</summary>
    Reserved = 1,
    Sealed = 2,

    /// <summary>
    /// Sealed, and the extent holds the block in fewer bytes: no reader of shared memory is given it as a payload, and a program that does not
    /// know this state takes the extent for free. Payload, extent and checksums are those of the encoded bytes; what they decode to stands
    /// behind the trailer.
    /// </summary>
    SealedEncoded = 3,
}

/// <summary>What a sealed block is. Stored in shared memory and on disk: append only.</summary>
[Flags]
public enum BlockFlags : uint
{
    None = 0,

    /// <summary>Content-addressed: the first sealed writer wins. Absent: a SET replaces.</summary>
    Content = 1,

    /// <summary>The block names a parent in <see cref="BlockDescriptor.Parent"/>.</summary>
    HasParent = 2,

    /// <summary>The small half of a pair that lives and dies with the block in <see cref="BlockDescriptor.Parent"/>.</summary>
    Companion = 4,

    /// <summary>The bytes are not those that were sealed: what they lost stands behind the key. In a descriptor only, never in the flags of a block on disk.</summary>
    Lossy = 8,

    /// <summary>No copy of it may lose anything.</summary>
    LosslessOnly = 16,
}

/// <summary>What has become of a sealed block since. Stored in shared memory: append only.</summary>
[Flags]
public enum BlockMarks : byte
{
    None = 0,

    /// <summary>From now on no copy of it may lose anything, though its writer did not say so.</summary>
    LosslessOnly = 1,
}

/// <summary>
/// One block of the arena: 128 bytes in a table at the arena's start, read by every process that maps it.
/// Order of publication: bytes, trailer, fields, checksum, and <see cref="State"/> last. Order of withdrawal:
/// <see cref="State"/> first, when the block is removed or replaced; <see cref="Generation"/> + 1 once its last reader has
/// ended; and only then may the extent be reused. A reader that
/// finds the same generation after reading has read the bytes of that block and no other.
/// The extent holds payload ‖ padding to 8 ‖ trailer, and the trailer is checksum table ‖ tenant ‖ model ‖ revision ‖ key, and in a
/// lossy block its <see cref="Integrity.Loss"/>.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8, Size = Bytes)]
public struct BlockDescriptor
{
    /// <summary>Bytes of the structure in memory.</summary>
    public const int Bytes = 128;

    /// <summary>Offset of <see cref="Digest"/>, where the checksummed fields begin.</summary>
    public const int ChecksummedOffset = 16;

    /// <summary>Bytes covered by <see cref="Checksum"/>.</summary>
    public const int ChecksummedBytes = 77;

    /// <summary>Grows by one whenever the descriptor stops describing a block.</summary>
    public ulong Generation;

    public DescriptorState State;

    /// <summary>CRC-32C of the fields from <see cref="Digest"/> to <see cref="RevisionBytes"/>.</summary>
    public uint Checksum;

    public KeyDigest Digest;

    /// <summary>Digest of the parent block, when <see cref="BlockFlags.HasParent"/> says that there is one.</summary>
    public KeyDigest Parent;

    /// <summary>Offset of the extent from the start of the data area, in bytes.</summary>
    public long ExtentOffset;

    public long ExtentBytes;
    public long PayloadBytes;
    public BlockFlags Flags;

    /// <summary>Epoch of the block's scope when it was sealed; an older epoch than the scope's was purged.</summary>
    public uint ScopeEpoch;

    /// <summary>CRC-32C over the checksum table.</summary>
    public uint TableChecksum;

    /// <summary>CRC-32C over the trailer.</summary>
    public uint TrailerChecksum;

    public ushort KeyBytes;
    public byte TenantBytes;
    public byte ModelBytes;
    public byte RevisionBytes;

    /// <summary>May change while sealed, from none to some. A program from before marks writes 0 there.</summary>
    public BlockMarks Marks;

    /// <summary>Uses so far. May change while sealed.</summary>
    public uint Hits;

    /// <summary>Unix milliseconds after which the block is gone; 0 never. May change while sealed.</summary>
    public long ExpiresAt;

    /// <summary>Unix milliseconds until which the block was promised to stay; 0 no promise. May change while sealed.</summary>
    public long LeaseUntil;

    /// <summary>Order of last use, so that a new process keeps what the old one would have kept. May change while sealed.</summary>
    public long LastUse;
}
