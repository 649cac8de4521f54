using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Asks a directory who holds blocks: u64 id of the digest key, u32 count (1 to 4,096), u32 flags, count × (u64, u64) digests. Flag 1 asks for all holders,
/// of at most 1,024 blocks. A directory of before does not look at the flags, and names four.
/// </summary>
public readonly ref struct LocateRequest
{
    public const int DigestBytes = 16;

    /// <summary>Holders of one block in an answer with all of them: the answer for <see cref="MaxBlocksOfAll"/> blocks fits into a head.</summary>
    public const int MaxNamed = 2 * SequenceLimits.MaxReplicas;

    /// <summary>Most blocks of a request for all holders.</summary>
    public const int MaxBlocksOfAll = 1024;

    private const uint AllFlag = 1;

    public ulong KeyId { get; init; }

    public int Count { get; init; }

    /// <summary>Whether all holders are asked for, up to <see cref="MaxNamed"/>, and not only those that a reader needs.</summary>
    public bool AsksForAll { get; init; }

    /// <summary>The digests as they were sent; read them with <see cref="DigestAt"/>.</summary>
    public ReadOnlySpan<byte> Digests { get; init; }

    public static bool TryRead(ReadOnlySpan<byte> head, out LocateRequest request)
    {
        var reader = new HeadReader(head);
        var keyId = reader.ReadUInt64();
        var count = reader.ReadUInt32();
        var asksForAll = (reader.ReadUInt32() & AllFlag) != 0;
        request = new LocateRequest { KeyId = keyId, Count = (int)Math.Min(count, int.MaxValue), AsksForAll = asksForAll, Digests = reader.ReadBytes((long)count * DigestBytes) };
        return reader.IsComplete && count > 0 && count <= (asksForAll ? MaxBlocksOfAll : Limits.MaxBlocksPerRequest);
    }

    public KeyDigest DigestAt(int index)
    {
        var reader = new HeadReader(Digests.Slice(index * DigestBytes, DigestBytes));
        return new KeyDigest(reader.ReadUInt64(), reader.ReadUInt64());
    }

    public static void Write(FrameWriter writer, ulong keyId, ReadOnlySpan<KeyDigest> digests, bool asksForAll = false)
    {
        writer.WriteUInt64(keyId);
        writer.WriteUInt32((uint)digests.Length);
        writer.WriteUInt32(asksForAll ? AllFlag : 0);
        foreach (var digest in digests)
        {
            writer.WriteUInt64(digest.Low);
            writer.WriteUInt64(digest.High);
        }
    }
}

/// <summary>
/// Begins the answer of a directory: u16 nodes, u16 zero, u32 blocks; then each node's id behind a u16 length; then for each block u8 number of
/// holders (at most 4, or 32 where all were asked for) and so many × u16 index of a node. A count with <see cref="Unsure"/> added tells that the directory has not heard
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
