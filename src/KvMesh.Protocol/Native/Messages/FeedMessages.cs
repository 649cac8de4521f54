using KvMesh.Protocol.Keys;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// The form of a watch that other nodes use: i64 after, u32 most changes, u32 flags (1: blocks in the memory of workers too), u64 id of the digest key, and the slots that are
/// wanted, 128 bytes. It never waits; the longer head tells it from a client's watch.
/// </summary>
/// <param name="WantsHeld">Whether blocks in the memory of workers are wanted too; a node of before does not ask for them.</param>
public readonly record struct FeedRequest(long After, uint MaxChanges, ulong KeyId, SlotSet Slots, bool WantsHeld = false)
{
    public const int Bytes = 24 + SlotSet.Bytes;

    private const uint HeldFlag = 1;

    public static bool TryRead(ReadOnlySpan<byte> head, out FeedRequest request)
    {
        var reader = new HeadReader(head);
        var after = reader.ReadInt64();
        var most = reader.ReadUInt32();
        var flags = reader.ReadUInt32();
        var keyId = reader.ReadUInt64();
        var slots = reader.ReadBytes(SlotSet.Bytes);
        request = reader.IsComplete ? new FeedRequest(after, most, keyId, new SlotSet(slots), (flags & HeldFlag) != 0) : default;
        return reader.IsComplete;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteInt64(After);
        writer.WriteUInt32(MaxChanges);
        writer.WriteUInt32(WantsHeld ? HeldFlag : 0);
        writer.WriteUInt64(KeyId);
        writer.WriteBytes(Slots.Bits);
    }
}

/// <summary>Asks for a page of the node's content blocks: i64 cursor (0 first), u32 most blocks, u32 flags as of <see cref="FeedRequest"/>, u64 id of the digest key, 128 bytes of slots.</summary>
public readonly record struct InventoryRequest(long Cursor, uint MaxBlocks, ulong KeyId, SlotSet Slots, bool WantsHeld = false)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out InventoryRequest request)
    {
        var isRead = FeedRequest.TryRead(head, out var fields);
        request = new InventoryRequest(fields.After, fields.MaxChanges, fields.KeyId, fields.Slots, fields.WantsHeld);
        return isRead;
    }

    public void Write(FrameWriter writer) => new FeedRequest(Cursor, MaxBlocks, KeyId, Slots, WantsHeld).Write(writer);
}

/// <summary>Begins a page: i64 next cursor (0: that was the last page), u32 blocks, u32 zero. A <see cref="DigestState"/> for each block follows.</summary>
public readonly record struct InventoryResponse(long NextCursor, uint Count)
{
    public const int Bytes = 16;

    public static InventoryResponse Read(ref HeadReader reader)
    {
        var response = new InventoryResponse(reader.ReadInt64(), reader.ReadUInt32());
        reader.ReadUInt32();
        return response;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteInt64(NextCursor);
        writer.WriteUInt32(Count);
        writer.WriteUInt32(0);
    }
}

/// <summary>
/// How a block stands at the node that says so: u64 and u64 of its digest under the cluster's secret, u32 payload bytes, u8 tiers (1 RAM, 2
/// disk, 4 only the memory of a worker; 0: it is not there), 3 × u8 zero.
/// </summary>
public readonly record struct DigestState(KeyDigest Digest, uint PayloadBytes, byte Tiers)
{
    public const int Bytes = 24;

    /// <summary>Only a worker that is connected to the node has it.</summary>
    public const byte HeldTier = 4;

    /// <summary>How it stands for whoever knows nothing of workers.</summary>
    public DigestState WithoutHeld => Tiers == HeldTier ? new DigestState(Digest, 0, 0) : this;

    public bool IsPresent => Tiers != 0;

    public static DigestState Read(ref HeadReader reader)
    {
        var state = new DigestState(new KeyDigest(reader.ReadUInt64(), reader.ReadUInt64()), reader.ReadUInt32(), reader.ReadByte());
        reader.ReadBytes(3);
        return state;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteUInt64(Digest.Low);
        writer.WriteUInt64(Digest.High);
        writer.WriteUInt32(PayloadBytes);
        writer.WriteUInt32(Tiers);
    }
}
