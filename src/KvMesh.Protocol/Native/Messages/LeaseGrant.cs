namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// One block of the answer to a lease, 40 bytes: u8 status, 3 × u8 zero, u32 descriptor index, u64 descriptor generation, u64 offset of the
/// payload in the arena's data area, u32 payload bytes, u32 CRC-32C of the checksum table, i64 lease id.
/// </summary>
public readonly record struct LeaseGrant
{
    /// <summary>Bytes on the wire.</summary>
    public const int Bytes = 40;

    /// <summary>Ok, Miss, or LeaseRefused.</summary>
    public NativeStatus Status { get; init; }

    public uint DescriptorIndex { get; init; }

    public ulong Generation { get; init; }

    public ulong PayloadOffset { get; init; }

    public uint PayloadBytes { get; init; }

    public uint TableChecksum { get; init; }

    public long LeaseId { get; init; }

    public static LeaseGrant Read(ref HeadReader reader)
    {
        var status = (NativeStatus)reader.ReadByte();
        reader.ReadBytes(3);
        return new LeaseGrant
        {
            Status = status,
            DescriptorIndex = reader.ReadUInt32(),
            Generation = reader.ReadUInt64(),
            PayloadOffset = reader.ReadUInt64(),
            PayloadBytes = reader.ReadUInt32(),
            TableChecksum = reader.ReadUInt32(),
            LeaseId = reader.ReadInt64(),
        };
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte((byte)Status);
        writer.WriteByte(0);
        writer.WriteUInt16(0);
        writer.WriteUInt32(DescriptorIndex);
        writer.WriteUInt64(Generation);
        writer.WriteUInt64(PayloadOffset);
        writer.WriteUInt32(PayloadBytes);
        writer.WriteUInt32(TableChecksum);
        writer.WriteInt64(LeaseId);
    }
}
