namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Head of each frame that answers a get: u32 index in the request, u32 block bytes, u32 offset of the payload in the block, u32 CRC-32C of
/// the block's whole checksum table, u32 first entry, u32 entries, then the entries that cover the payload. The payload begins at a
/// chunk and ends at a chunk or with the block.
/// </summary>
public readonly ref struct BlockHead
{
    public uint Index { get; init; }

    /// <summary>Bytes of the whole block; 0 when it is not here.</summary>
    public uint BlockBytes { get; init; }

    /// <summary>Where in the block the frame's payload begins.</summary>
    public uint PayloadOffset { get; init; }

    public uint TableChecksum { get; init; }

    public uint FirstEntry { get; init; }

    /// <summary>Entries of the checksum table, 4 bytes each, little-endian.</summary>
    public ReadOnlySpan<byte> Entries { get; init; }

    /// <summary>Reads a head and checks that its numbers agree with each other and with the payload that follows.</summary>
    public static bool TryRead(ReadOnlySpan<byte> head, long payloadBytes, out BlockHead block)
    {
        var reader = new HeadReader(head);
        return TryRead(ref reader, payloadBytes, out block) && reader.IsComplete;
    }

    /// <summary>As above, for a head that goes on behind this part.</summary>
    public static bool TryRead(scoped ref HeadReader reader, long payloadBytes, out BlockHead block)
    {
        var index = reader.ReadUInt32();
        var blockBytes = reader.ReadUInt32();
        var payloadOffset = reader.ReadUInt32();
        var tableChecksum = reader.ReadUInt32();
        var firstEntry = reader.ReadUInt32();
        var entries = reader.ReadBytes((long)reader.ReadUInt32() * sizeof(uint));
        block = new BlockHead
        {
            Index = index,
            BlockBytes = blockBytes,
            PayloadOffset = payloadOffset,
            TableChecksum = tableChecksum,
            FirstEntry = firstEntry,
            Entries = entries,
        };
        return reader.IsValid && Agrees(block, payloadBytes);
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteUInt32(Index);
        writer.WriteUInt32(BlockBytes);
        writer.WriteUInt32(PayloadOffset);
        writer.WriteUInt32(TableChecksum);
        writer.WriteUInt32(FirstEntry);
        writer.WriteUInt32((uint)Entries.Length / sizeof(uint));
        writer.WriteBytes(Entries);
    }

    private static bool Agrees(in BlockHead block, long payloadBytes)
    {
        if (block.BlockBytes > Limits.MaxBlockBytes || payloadBytes > block.BlockBytes || block.PayloadOffset > block.BlockBytes - payloadBytes)
        {
            return false;
        }

        var end = block.PayloadOffset + payloadBytes;
        return block.PayloadOffset % Limits.ChecksumChunkBytes == 0
            && block.FirstEntry == block.PayloadOffset / Limits.ChecksumChunkBytes
            && (end % Limits.ChecksumChunkBytes == 0 || end == block.BlockBytes)
            && block.Entries.Length / sizeof(uint) == Integrity.ChecksumTable.EntryCount(payloadBytes);
    }
}
