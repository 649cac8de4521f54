namespace KvMesh.Protocol.Native.Messages;

/// <summary>How much of a block is asked for. Sent on the wire: append only.</summary>
public enum GetMode : byte
{
    Whole = 0,

    /// <summary>The chunks that cover <c>offset … offset + max bytes</c>.</summary>
    Range = 1,
}

/// <summary>
/// Asks for blocks: u8 mode, 3 × u8 zero, u32 most bytes, u64 offset, keys. A whole block that is longer than "most bytes" is
/// answered by its length only. A range is answered by the whole checksum chunks that cover it, so that the client can verify them.
/// </summary>
public readonly record struct GetRequest(GetMode Mode, uint MaxBytes, ulong Offset)
{
    public static GetRequest Read(ref HeadReader reader)
    {
        var mode = (GetMode)reader.ReadByte();
        reader.ReadBytes(3);
        return new GetRequest(mode, reader.ReadUInt32(), reader.ReadUInt64());
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte((byte)Mode);
        writer.WriteByte(0);
        writer.WriteUInt16(0);
        writer.WriteUInt32(MaxBytes);
        writer.WriteUInt64(Offset);
    }
}
