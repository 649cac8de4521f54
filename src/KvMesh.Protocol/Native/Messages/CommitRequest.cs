namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Stores one block whose bytes are in the staging file: u8 flags, 3 × u8 zero, u32 CRC-32C of the checksum table (0 when flagged), u64 offset,
/// u32 payload bytes, u32 zero, 32 bytes of parent hash when the flag is set, one key. The bytes must not change until the answer.
/// </summary>
public readonly ref struct CommitRequest
{
    /// <summary>Null when the writer leaves the checksums to the node, having built the payload in the staging file itself.</summary>
    public uint? TableChecksum { get; init; }

    /// <summary>Where in the staging file the payload begins.</summary>
    public ulong Offset { get; init; }

    public uint PayloadBytes { get; init; }

    /// <summary>Hash of the block before it; empty when there is none.</summary>
    public ReadOnlySpan<byte> ParentHash { get; init; }

    /// <summary>Reads up to the key. <see cref="HeadReader.IsValid"/> says whether all was there.</summary>
    public static CommitRequest Read(ref HeadReader reader)
    {
        var flags = (PutFlags)reader.ReadByte();
        reader.ReadBytes(3);
        var tableChecksum = reader.ReadUInt32();
        var offset = reader.ReadUInt64();
        var payloadBytes = reader.ReadUInt32();
        reader.ReadUInt32();
        return new CommitRequest
        {
            TableChecksum = (flags & PutFlags.Unsummed) == 0 ? tableChecksum : null,
            Offset = offset,
            PayloadBytes = payloadBytes,
            ParentHash = (flags & PutFlags.HasParent) != 0 ? reader.ReadBytes(Limits.ChainHashBytes) : default,
        };
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte((byte)((ParentHash.IsEmpty ? PutFlags.None : PutFlags.HasParent) | (TableChecksum is null ? PutFlags.Unsummed : PutFlags.None)));
        writer.WriteByte(0);
        writer.WriteUInt16(0);
        writer.WriteUInt32(TableChecksum ?? 0);
        writer.WriteUInt64(Offset);
        writer.WriteUInt32(PayloadBytes);
        writer.WriteUInt32(0);
        writer.WriteBytes(ParentHash);
    }
}
