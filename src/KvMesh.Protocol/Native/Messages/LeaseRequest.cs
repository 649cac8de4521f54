namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Asks for residence leases: u32 milliseconds, u32 leases to release first, i64 each, keys. The releases ride along so that a reader
/// that takes one block after the other needs one round trip for each.
/// </summary>
public readonly ref struct LeaseRequest
{
    public uint Milliseconds { get; init; }

    /// <summary>Ids of leases that end, 8 bytes each, little-endian.</summary>
    public ReadOnlySpan<byte> Releases { get; init; }

    public static LeaseRequest Read(ref HeadReader reader)
    {
        var milliseconds = reader.ReadUInt32();
        return new LeaseRequest { Milliseconds = milliseconds, Releases = reader.ReadBytes((long)reader.ReadUInt32() * sizeof(long)) };
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteUInt32(Milliseconds);
        writer.WriteUInt32((uint)Releases.Length / sizeof(long));
        writer.WriteBytes(Releases);
    }
}
