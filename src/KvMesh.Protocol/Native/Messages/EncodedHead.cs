using KvMesh.Protocol.Coding;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Native.Messages;

/// <summary>
/// Head of a frame that answers a get with a block as it lies encoded: u32 index in the request, u32 block bytes, u32 CRC-32C of the checksum table of the
/// decoded block, u16 codec, u16 zero, 16 bytes of what it has lost (zero: nothing), u32 CRC-32C of the checksum table of the payload, u32 entries, then that table.
/// The payload is what the codec wrote, whole.
/// </summary>
public readonly ref struct EncodedHead
{
    public uint Index { get; init; }

    /// <summary>Bytes that it decodes to.</summary>
    public uint BlockBytes { get; init; }

    /// <summary>CRC-32C over the checksum table of what it decodes to.</summary>
    public uint BlockTableChecksum { get; init; }

    /// <summary>Kind of the codec.</summary>
    public ushort Codec { get; init; }

    /// <summary>What the decoded block has lost; null: it is exact.</summary>
    public Loss? Loss { get; init; }

    /// <summary>CRC-32C over <see cref="Entries"/>.</summary>
    public uint TableChecksum { get; init; }

    /// <summary>Checksum table of the payload, 4 bytes each, little-endian.</summary>
    public ReadOnlySpan<byte> Entries { get; init; }

    /// <summary>Reads a head and checks that its numbers agree with each other and with the payload that follows.</summary>
    /// <param name="head">The head.</param>
    /// <param name="payloadBytes">Bytes of the payload.</param>
    /// <param name="encoded">What it says.</param>
    /// <param name="fault">The field that is wrong, its value and what it must be; null when none is.</param>
    public static bool TryRead(ReadOnlySpan<byte> head, long payloadBytes, out EncodedHead encoded, out string? fault)
    {
        var reader = new HeadReader(head);
        var index = reader.ReadUInt32();
        var blockBytes = reader.ReadUInt32();
        var blockTableChecksum = reader.ReadUInt32();
        var codec = reader.ReadUInt16();
        var zero = reader.ReadUInt16();
        var lost = reader.ReadBytes(Loss.Bytes);
        var tableChecksum = reader.ReadUInt32();
        var entries = reader.ReadBytes((long)reader.ReadUInt32() * sizeof(uint));
        var loss = reader.IsValid ? Loss.Read(lost) : null;
        encoded = new EncodedHead
        {
            Index = index,
            BlockBytes = blockBytes,
            BlockTableChecksum = blockTableChecksum,
            Codec = codec,
            Loss = loss,
            TableChecksum = tableChecksum,
            Entries = entries,
        };
        fault = !reader.IsValid || !reader.IsComplete ? $"its head has {head.Length} bytes, and ends before its fields do or goes on behind them"
            : zero != 0 ? $"the field behind its codec is {zero}; it must be 0"
            : loss is null && lost.IndexOfAnyExcept((byte)0) >= 0 ? "its loss is none that can be measured; errors are 0 or more, or not measured"
            : FaultOf(encoded, payloadBytes);
        return fault is null;
    }

    public void Write(FrameWriter writer)
    {
        writer.WriteUInt32(Index);
        writer.WriteUInt32(BlockBytes);
        writer.WriteUInt32(BlockTableChecksum);
        writer.WriteUInt16(Codec);
        writer.WriteUInt16(0);
        Span<byte> lost = stackalloc byte[Loss.Bytes];
        lost.Clear();
        Loss?.Write(lost);
        writer.WriteBytes(lost);
        writer.WriteUInt32(TableChecksum);
        writer.WriteUInt32((uint)Entries.Length / sizeof(uint));
        writer.WriteBytes(Entries);
    }

    private static string? FaultOf(in EncodedHead head, long payloadBytes)
    {
        var entries = head.Entries.Length / sizeof(uint);
        return head.BlockBytes is 0 or > Limits.MaxBlockBytes ? $"its block bytes are {head.BlockBytes}; 1 to {Limits.MaxBlockBytes} are possible"
            : head.Codec is 0 or > CodecKinds.Max ? $"its codec is {head.Codec}; 1 to {CodecKinds.Max} are possible"
            : payloadBytes is 0 || payloadBytes >= head.BlockBytes ? $"its payload has {payloadBytes} bytes; it must have from 1 to {head.BlockBytes - 1}"
            : entries != ChecksumTable.EntryCount(payloadBytes) ? $"its table has {entries} entries; {ChecksumTable.EntryCount(payloadBytes)} belong to {payloadBytes} bytes"
            : null;
    }
}
