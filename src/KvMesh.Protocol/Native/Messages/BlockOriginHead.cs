namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// What a node tells another of a block besides its bytes, behind the <see cref="BlockHead"/> of an answer to a peer: i64 expires at, then model,
/// revision, key of the parent and key of the block that it describes, each behind a u16 length and empty when there is none. Readers
/// ignore what later versions append.
/// </summary>
public readonly ref struct BlockOriginHead
{
    /// <summary>Unix milliseconds after which the block is gone; 0 never.</summary>
    public long ExpiresAt { get; init; }

    /// <summary>UTF-8.</summary>
    public ReadOnlySpan<byte> Model { get; init; }

    /// <summary>UTF-8.</summary>
    public ReadOnlySpan<byte> Revision { get; init; }

    public ReadOnlySpan<byte> ParentKey { get; init; }

    public ReadOnlySpan<byte> CompanionOf { get; init; }

    /// <summary>Reads what follows a block head.</summary>
    public static bool TryRead(scoped ref HeadReader reader, out BlockOriginHead origin)
    {
        origin = new BlockOriginHead
        {
            ExpiresAt = reader.ReadInt64(),
            Model = reader.ReadShortBytes(),
            Revision = reader.ReadShortBytes(),
            ParentKey = reader.ReadShortBytes(),
            CompanionOf = reader.ReadShortBytes(),
        };
        return reader.IsValid && origin.ParentKey.Length <= Limits.MaxKeyBytes && origin.CompanionOf.Length <= Limits.MaxKeyBytes;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteInt64(ExpiresAt);
        writer.WriteShortBytes(Model);
        writer.WriteShortBytes(Revision);
        writer.WriteShortBytes(ParentKey);
        writer.WriteShortBytes(CompanionOf);
    }
}
