namespace KvMesh.Protocol.Native.Messages;

/// <summary>What a put or a commit says of the block before its key. Sent on the wire: append only.</summary>
[Flags]
public enum PutFlags : byte
{
    None = 0,

    /// <summary>The hash of the block before it in the chain follows.</summary>
    HasParent = 1,
}

/// <summary>
/// Stores one block whose bytes are the frame's payload: u8 flags, 3 × u8 zero, u32 CRC-32C of the checksum table, 32 bytes of parent
/// hash when the flag is set, the checksum table (u32 per 64 KiB of payload), one key.
/// </summary>
public readonly ref struct PutRequest
{
    public uint TableChecksum { get; init; }

    /// <summary>Hash of the block before it; empty when there is none.</summary>
    public ReadOnlySpan<byte> ParentHash { get; init; }

    /// <summary>The checksum table, 4 bytes an entry, little-endian.</summary>
    public ReadOnlySpan<byte> Table { get; init; }

    /// <summary>Reads up to the key. <see cref="HeadReader.IsValid"/> says whether all was there.</summary>
    public static PutRequest Read(ref HeadReader reader, long payloadBytes)
    {
        var flags = (PutFlags)reader.ReadByte();
        reader.ReadBytes(3);
        return new PutRequest
        {
            TableChecksum = reader.ReadUInt32(),
            ParentHash = (flags & PutFlags.HasParent) != 0 ? reader.ReadBytes(Limits.ChainHashBytes) : default,
            Table = reader.ReadBytes((long)Integrity.ChecksumTable.EntryCount(payloadBytes) * sizeof(uint)),
        };
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte((byte)(ParentHash.IsEmpty ? PutFlags.None : PutFlags.HasParent));
        writer.WriteByte(0);
        writer.WriteUInt16(0);
        writer.WriteUInt32(TableChecksum);
        writer.WriteBytes(ParentHash);
        writer.WriteBytes(Table);
    }
}
