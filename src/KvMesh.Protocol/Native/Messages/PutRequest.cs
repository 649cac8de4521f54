using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>What a put or a commit says of the block before its key. Sent on the wire: append only.</summary>
[Flags]
public enum PutFlags : byte
{
    None = 0,

    /// <summary>The hash of the block before it in the chain follows.</summary>
    HasParent = 1,

    /// <summary>Commit only: the writer has not checksummed the bytes; the node's checksums of what it stored are the block's first ones.</summary>
    Unsummed = 2,

    /// <summary>Put only: the block was asked for (<see cref="Verb.HolderAsks"/>), and the number of the ask follows.</summary>
    HandsOver = 4,
}

/// <summary>
/// Stores one block: u8 flags, 3 × u8 zero, u32 block bytes, 32 bytes of parent hash when the flag is set, u64 number of the ask when its flag is, one key. The
/// frame's payload is the block, its checksum table (u32 per 64 KiB) and the CRC-32C of that table, in this order: so the sender checksums each piece just
/// before it sends it, and reads its memory once.
/// </summary>
public readonly ref struct PutRequest
{
    public uint BlockBytes { get; init; }

    /// <summary>Hash of the block before it; empty when there is none.</summary>
    public ReadOnlySpan<byte> ParentHash { get; init; }

    /// <summary>Number of the ask that the block answers; null: it is written of the client's own accord.</summary>
    public ulong? Ask { get; init; }

    /// <summary>Bytes of the table and its checksum behind a block.</summary>
    public static int TrailerBytes(long blockBytes) => (ChecksumTable.EntryCount(blockBytes) + 1) * sizeof(uint);

    /// <summary>Reads up to the key. <see cref="HeadReader.IsValid"/> says whether all was there.</summary>
    public static PutRequest Read(ref HeadReader reader)
    {
        var flags = (PutFlags)reader.ReadByte();
        reader.ReadBytes(3);
        return new PutRequest
        {
            BlockBytes = reader.ReadUInt32(),
            ParentHash = (flags & PutFlags.HasParent) != 0 ? reader.ReadBytes(Limits.ChainHashBytes) : default,
            Ask = (flags & PutFlags.HandsOver) != 0 ? reader.ReadUInt64() : null,
        };
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte((byte)((ParentHash.IsEmpty ? PutFlags.None : PutFlags.HasParent) | (Ask is null ? PutFlags.None : PutFlags.HandsOver)));
        writer.WriteByte(0);
        writer.WriteUInt16(0);
        writer.WriteUInt32(BlockBytes);
        writer.WriteBytes(ParentHash);
        if (Ask is { } ask)
        {
            writer.WriteUInt64(ask);
        }
    }
}
