namespace KvMesh.Protocol.Native.Messages;

/// <summary>What a get wants of each block. Sent on the wire: append only.</summary>
public enum GetMode : byte
{
    Whole = 0,

    /// <summary>The chunks that cover <c>offset … offset + max bytes</c>.</summary>
    Range = 1,
}

/// <summary>How a get is to be answered. Sent on the wire: append only.</summary>
[Flags]
public enum GetFlags : byte
{
    None = 0,

    /// <summary>
    /// Another node asks, to keep a copy: only content that this node has itself is answered, nobody else is asked, and each head goes on
    /// with a <see cref="BlockOriginHead"/>. Needs the right <c>peer</c>.
    /// </summary>
    ForPeer = 1,
}

/// <summary>
/// Asks for blocks: u8 mode, u8 flags, u16 zero, u32 most bytes, u64 offset, keys. A whole block that is longer than "most bytes" is
/// answered by its length only. A range is answered by the whole checksum chunks that cover it, so that the client can verify them.
/// </summary>
public readonly record struct GetRequest(GetMode Mode, uint MaxBytes, ulong Offset)
{
    public GetFlags Flags { get; init; }

    public static GetRequest Read(ref HeadReader reader)
    {
        var mode = (GetMode)reader.ReadByte();
        var flags = (GetFlags)reader.ReadByte();
        reader.ReadUInt16();
        return new GetRequest(mode, reader.ReadUInt32(), reader.ReadUInt64()) { Flags = flags };
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte((byte)Mode);
        writer.WriteByte((byte)Flags);
        writer.WriteUInt16(0);
        writer.WriteUInt32(MaxBytes);
        writer.WriteUInt64(Offset);
    }
}
