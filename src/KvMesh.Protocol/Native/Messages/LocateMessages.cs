using KvMesh.Protocol.Keys;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>Asks a directory who holds blocks: u64 id of the digest key, u32 count (1 to 4,096), u32 zero, count × (u64, u64) digests.</summary>
public readonly ref struct LocateRequest
{
    public const int DigestBytes = 16;

    public ulong KeyId { get; init; }

    public int Count { get; init; }

    /// <summary>The digests as they were sent; read them with <see cref="DigestAt"/>.</summary>
    public ReadOnlySpan<byte> Digests { get; init; }

    public static bool TryRead(ReadOnlySpan<byte> head, out LocateRequest request)
    {
        var reader = new HeadReader(head);
        var keyId = reader.ReadUInt64();
        var count = reader.ReadUInt32();
        reader.ReadUInt32();
        request = new LocateRequest { KeyId = keyId, Count = (int)Math.Min(count, int.MaxValue), Digests = reader.ReadBytes((long)count * DigestBytes) };
        return reader.IsComplete && count is > 0 and <= Limits.MaxBlocksPerRequest;
    }

    public KeyDigest DigestAt(int index)
    {
        var reader = new HeadReader(Digests.Slice(index * DigestBytes, DigestBytes));
        return new KeyDigest(reader.ReadUInt64(), reader.ReadUInt64());
    }

    public static void Write(FrameWriter writer, ulong keyId, ReadOnlySpan<KeyDigest> digests)
    {
        writer.WriteUInt64(keyId);
        writer.WriteUInt32((uint)digests.Length);
        writer.WriteUInt32(0);
        foreach (var digest in digests)
        {
            writer.WriteUInt64(digest.Low);
            writer.WriteUInt64(digest.High);
        }
    }
}

/// <summary>
/// Begins the answer of a directory: u16 nodes, u16 zero, u32 blocks; then each node's id behind a u16 length; then for each block u8 number of
/// holders (at most 4) and so many × u16 index of a node. A count with <see cref="Unsure"/> added tells that the directory has not heard
/// all nodes of that slot yet: another one may know more.
/// </summary>
public readonly record struct LocateResponse(ushort NodeCount, uint BlockCount)
{
    public const byte Unsure = 0x80;

    public static LocateResponse Read(ref HeadReader reader)
    {
        var nodes = reader.ReadUInt16();
        reader.ReadUInt16();
        return new LocateResponse(nodes, reader.ReadUInt32());
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteUInt16(NodeCount);
        writer.WriteUInt16(0);
        writer.WriteUInt32(BlockCount);
    }
}
