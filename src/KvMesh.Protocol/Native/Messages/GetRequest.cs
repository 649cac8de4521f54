using KvMesh.Protocol.Coding;

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

    /// <summary>
    /// With <see cref="ForPeer"/>: what the node must have carried out to answer follows the offset, u64 number of the last purge of the tenant, u64 number in the log
    /// of removals.
    /// </summary>
    Guarded = 2,

    /// <summary>A copy that has lost something is a miss; another node is told so with <see cref="NativeStatus.Lossy"/>.</summary>
    LosslessOnly = 4,

    /// <summary>
    /// Whole blocks only, and not with <see cref="ForPeer"/>: a block that lies encoded may be answered so, with <see cref="NativeStatus.Encoded"/>. What the client can decode
    /// follows the offset, u64 with bit k set for codec k.
    /// </summary>
    AcceptEncoded = 8,
}

/// <summary>
/// Asks for blocks: u8 mode, u8 flags, u16 zero, u32 most bytes, u64 offset, with the flag guarded u64 purges and u64 removals, with the flag accept encoded u64 codecs, keys. A whole block that is longer than "most bytes" is
/// answered by its length only. A range is answered by the whole checksum chunks that cover it, so that the client can verify them.
/// </summary>
public readonly record struct GetRequest(GetMode Mode, uint MaxBytes, ulong Offset)
{
    public GetFlags Flags { get; init; }

    /// <summary>Number of the last purge that must have been carried out; 0 none.</summary>
    public ulong Purges { get; init; }

    /// <summary>Number in the log of removals up to which all must have been carried out; 0 none.</summary>
    public ulong Removals { get; init; }

    /// <summary>Codecs in which a block may be answered.</summary>
    public CodecKinds Codecs { get; init; }

    public static GetRequest Read(ref HeadReader reader)
    {
        var mode = (GetMode)reader.ReadByte();
        var flags = (GetFlags)reader.ReadByte();
        reader.ReadUInt16();
        var request = new GetRequest(mode, reader.ReadUInt32(), reader.ReadUInt64()) { Flags = flags };
        request = (flags & GetFlags.Guarded) != 0 ? request with { Purges = reader.ReadUInt64(), Removals = reader.ReadUInt64() } : request;
        return (flags & GetFlags.AcceptEncoded) != 0 ? request with { Codecs = new CodecKinds(reader.ReadUInt64()) } : request;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteByte((byte)Mode);
        writer.WriteByte((byte)Flags);
        writer.WriteUInt16(0);
        writer.WriteUInt32(MaxBytes);
        writer.WriteUInt64(Offset);
        if ((Flags & GetFlags.Guarded) != 0)
        {
            writer.WriteUInt64(Purges);
            writer.WriteUInt64(Removals);
        }

        if ((Flags & GetFlags.AcceptEncoded) != 0)
        {
            writer.WriteUInt64(Codecs.Bits);
        }
    }
}
