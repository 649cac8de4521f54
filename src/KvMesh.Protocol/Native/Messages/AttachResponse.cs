namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Describes the arena whose read-only descriptor comes with the frame: u64 bytes of the file, u64 offset of the data area, u64 bytes of the data
/// area, u32 descriptors, u32 offset of the descriptor table, i64 incarnation.
/// </summary>
public readonly record struct AttachResponse
{
    public ulong FileBytes { get; init; }

    public ulong DataOffset { get; init; }

    public ulong DataBytes { get; init; }

    public uint DescriptorCount { get; init; }

    public uint DescriptorOffset { get; init; }

    public long Incarnation { get; init; }

    public static bool TryRead(ReadOnlySpan<byte> head, out AttachResponse response)
    {
        var reader = new HeadReader(head);
        response = new AttachResponse
        {
            FileBytes = reader.ReadUInt64(),
            DataOffset = reader.ReadUInt64(),
            DataBytes = reader.ReadUInt64(),
            DescriptorCount = reader.ReadUInt32(),
            DescriptorOffset = reader.ReadUInt32(),
            Incarnation = reader.ReadInt64(),
        };
        return reader.IsValid;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteUInt64(FileBytes);
        writer.WriteUInt64(DataOffset);
        writer.WriteUInt64(DataBytes);
        writer.WriteUInt32(DescriptorCount);
        writer.WriteUInt32(DescriptorOffset);
        writer.WriteInt64(Incarnation);
    }
}
