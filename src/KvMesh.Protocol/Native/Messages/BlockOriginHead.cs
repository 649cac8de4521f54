using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// What a node tells another of a block besides its bytes, behind the <see cref="BlockHead"/> of an answer to a peer: i64 expires at, then model,
/// revision, key of the parent and key of the block that it describes, each behind a u16 length and empty when there is none; then, of a block that has
/// lost something or may not lose anything, u8 flags (1: 16 bytes of its loss follow; 2: no copy may lose anything). Readers ignore what later versions append.
/// </summary>
public readonly ref struct BlockOriginHead
{
    private const byte LossFlag = 1;
    private const byte ExactFlag = 2;

    /// <summary>Unix milliseconds after which the block is gone; 0 never.</summary>
    public long ExpiresAt { get; init; }

    /// <summary>UTF-8.</summary>
    public ReadOnlySpan<byte> Model { get; init; }

    /// <summary>UTF-8.</summary>
    public ReadOnlySpan<byte> Revision { get; init; }

    public ReadOnlySpan<byte> ParentKey { get; init; }

    public ReadOnlySpan<byte> CompanionOf { get; init; }

    /// <summary>What the copy has lost; null: nothing.</summary>
    public Loss? Loss { get; init; }

    /// <summary>Whether no copy of the block may lose anything.</summary>
    public bool LosslessOnly { get; init; }

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
        if (reader.IsValid && !reader.IsComplete)
        {
            var flags = reader.ReadByte();
            origin = origin with
            {
                LosslessOnly = (flags & ExactFlag) != 0,
                Loss = (flags & LossFlag) != 0 ? Loss.Read(reader.ReadBytes(Loss.Bytes)) : null,
            };
            if ((flags & LossFlag) != 0 && origin.Loss is null)
            {
                return false;
            }
        }

        return reader.IsValid && origin.ParentKey.Length <= Limits.MaxKeyBytes && origin.CompanionOf.Length <= Limits.MaxKeyBytes;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteInt64(ExpiresAt);
        writer.WriteShortBytes(Model);
        writer.WriteShortBytes(Revision);
        writer.WriteShortBytes(ParentKey);
        writer.WriteShortBytes(CompanionOf);
        if (Loss is not null || LosslessOnly)
        {
            writer.WriteByte((byte)((Loss is null ? 0 : LossFlag) | (LosslessOnly ? ExactFlag : 0)));
            Span<byte> lost = stackalloc byte[Integrity.Loss.Bytes];
            Loss?.Write(lost);
            writer.WriteBytes(Loss is null ? default : lost);
        }
    }
}
