namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Asks for the events after a sequence number: i64 after, u32 most events, u32 longest wait in milliseconds. One request is credit for one
/// answer, so a watcher that does not ask is owed nothing.
/// </summary>
public readonly record struct WatchRequest(long AfterSequence, uint MaxEvents, uint WaitMilliseconds)
{
    public const int Bytes = 16;

    public static bool TryRead(ReadOnlySpan<byte> head, out WatchRequest request)
    {
        var reader = new HeadReader(head);
        request = new WatchRequest(reader.ReadInt64(), reader.ReadUInt32(), reader.ReadUInt32());
        return reader.IsComplete;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteInt64(AfterSequence);
        writer.WriteUInt32(MaxEvents);
        writer.WriteUInt32(WaitMilliseconds);
    }
}

/// <summary>
/// Begins the answer to a watch: i64 sequence number to ask after next, u32 events, u8 1 when events were lost before them, 3 × u8 zero.
/// Each event follows as i64 sequence, u8 kind, u8 tiers, u16 key bytes, u32 payload bytes, key.
/// </summary>
public readonly record struct WatchResponse(long NextAfter, uint Count, bool HasGap)
{
    /// <summary>Bytes before the events.</summary>
    public const int Bytes = 16;

    /// <summary>Bytes of an event without its key.</summary>
    public const int EventBytes = 16;

    public static WatchResponse Read(ref HeadReader reader)
    {
        var response = new WatchResponse(reader.ReadInt64(), reader.ReadUInt32(), reader.ReadByte() != 0);
        reader.ReadBytes(3);
        return response;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteInt64(NextAfter);
        writer.WriteUInt32(Count);
        writer.WriteUInt32(HasGap ? 1u : 0u);
    }
}
