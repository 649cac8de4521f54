namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Begins a block that is published by section: u8 flags (<see cref="PutFlags.HasParent"/>), 3 × u8 zero, u32 block bytes, u32 bytes of each section but the last,
/// 32 bytes of parent hash when the flag is set, one chain key. The answer is u64 number of the write on this connection, when the status is ok.
/// </summary>
public readonly ref struct SectionBeginRequest
{
    public uint BlockBytes { get; init; }

    public uint SectionBytes { get; init; }

    /// <summary>Hash of the block before it; empty when there is none.</summary>
    public ReadOnlySpan<byte> ParentHash { get; init; }

    /// <summary>Reads up to the key. <see cref="HeadReader.IsValid"/> says whether all was there.</summary>
    public static SectionBeginRequest Read(ref HeadReader reader)
    {
        var flags = (PutFlags)reader.ReadByte();
        reader.ReadBytes(3);
        return new SectionBeginRequest
        {
            BlockBytes = reader.ReadUInt32(),
            SectionBytes = reader.ReadUInt32(),
            ParentHash = (flags & PutFlags.HasParent) != 0 ? reader.ReadBytes(Limits.ChainHashBytes) : default,
        };
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteUInt32((uint)(ParentHash.IsEmpty ? PutFlags.None : PutFlags.HasParent));
        writer.WriteUInt32(BlockBytes);
        writer.WriteUInt32(SectionBytes);
        writer.WriteBytes(ParentHash);
    }
}

/// <summary>
/// Publishes the next section: u64 number of the write, u32 index of the section, u32 CRC-32C of its bytes, which are the payload. An abandon is the number alone.
/// </summary>
public readonly record struct SectionPublishRequest(ulong Write, uint Section, uint Checksum)
{
    public static bool TryRead(ReadOnlySpan<byte> head, out SectionPublishRequest request)
    {
        var reader = new HeadReader(head);
        request = new SectionPublishRequest(reader.ReadUInt64(), reader.ReadUInt32(), reader.ReadUInt32());
        return reader.IsComplete;
    }

    public void WriteTo(FrameWriter writer)
    {
        writer.WriteUInt64(Write);
        writer.WriteUInt32(Section);
        writer.WriteUInt32(Checksum);
    }
}

/// <summary>
/// Asks for sections: u32 the first one wanted, u32 bytes of a section, u32 <see cref="SectionProof"/> of those before, u32 most bytes at once, u32 longest wait in
/// milliseconds, one chain key.
/// </summary>
public readonly record struct SectionFollowRequest(uint Section, uint SectionBytes, uint Proof, uint MaxBytes, uint WaitMilliseconds)
{
    public static SectionFollowRequest Read(ref HeadReader reader) =>
        new(reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt32());

    public void Write(FrameWriter writer)
    {
        writer.WriteUInt32(Section);
        writer.WriteUInt32(SectionBytes);
        writer.WriteUInt32(Proof);
        writer.WriteUInt32(MaxBytes);
        writer.WriteUInt32(WaitMilliseconds);
    }
}

/// <summary>
/// Answers with sections: u32 block bytes, u32 first section, u32 sections, u8 1 when the block is sealed, 3 × u8 zero, then u32 CRC-32C of each section. The
/// payload is the sections.
/// </summary>
public readonly ref struct SectionFollowResponse
{
    public uint BlockBytes { get; init; }

    public uint First { get; init; }

    public uint Count { get; init; }

    public bool IsSealed { get; init; }

    /// <summary>Checksums of the sections, 4 bytes each, little-endian.</summary>
    public ReadOnlySpan<byte> Checksums { get; init; }

    /// <summary>Reads a head and checks that its numbers agree with each other and with the payload that follows.</summary>
    public static bool TryRead(ReadOnlySpan<byte> head, uint sectionBytes, long payloadBytes, out SectionFollowResponse response)
    {
        var reader = new HeadReader(head);
        var (blockBytes, first, count) = (reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt32());
        var isSealed = reader.ReadByte() == 1;
        reader.ReadBytes(3);
        response = new SectionFollowResponse { BlockBytes = blockBytes, First = first, Count = count, IsSealed = isSealed, Checksums = reader.ReadBytes(count * (long)sizeof(uint)) };
        return reader.IsComplete && ProgressiveLimits.IsValid(blockBytes, sectionBytes)
            && (long)first + count <= ProgressiveLimits.SectionCount(blockBytes, sectionBytes)
            && payloadBytes == Math.Min(((long)first + count) * sectionBytes, blockBytes) - Math.Min((long)first * sectionBytes, blockBytes);
    }

    /// <summary>Writes all but the checksums, which follow.</summary>
    public void WriteStart(FrameWriter writer)
    {
        writer.WriteUInt32(BlockBytes);
        writer.WriteUInt32(First);
        writer.WriteUInt32(Count);
        writer.WriteUInt32(IsSealed ? 1u : 0u);
    }
}
