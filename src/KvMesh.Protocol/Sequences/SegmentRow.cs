using System.Buffers.Binary;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Protocol.Sequences;

/// <summary>
/// A run of consecutive blocks of one sequence. Stored and sent in 112 bytes, little-endian: u8 format 1, u8 zero, u16 index of the
/// scope (0: the head's), u32 CRC-32C of all that follows, u32 first block, u32 blocks, u64 tokens before it, u32 tokens, u32 zero, u64
/// bytes before it, u64 bytes, hash of its first block, hash of its last block.
/// </summary>
/// <param name="StartBlock">Blocks of the sequence before this run.</param>
/// <param name="Blocks">Blocks in it, 1 to <see cref="SequenceLimits.MaxSegmentBlocks"/>.</param>
/// <param name="StartToken">Tokens of the sequence before it.</param>
/// <param name="Tokens">Tokens in it.</param>
/// <param name="StartByte">Payload bytes of the sequence before it.</param>
/// <param name="Bytes">Payload bytes of its blocks, all parts together, one copy.</param>
public readonly record struct SegmentRow(
    uint StartBlock, uint Blocks, ulong StartToken, uint Tokens, ulong StartByte, ulong Bytes, BlockHash FirstHash, BlockHash LastHash)
{
    /// <summary>Bytes of a row, stored and sent.</summary>
    public const int EncodedBytes = 112;

    private const byte Format = 1;
    private const int ChecksummedFrom = 8;

    /// <summary>Blocks of the sequence up to the end of this run.</summary>
    public long EndBlock => (long)StartBlock + Blocks;

    /// <summary>Reads a row. False: it is of another format, or damaged.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out SegmentRow row)
    {
        row = default;
        if (source.Length != EncodedBytes || source[0] != Format
            || BinaryPrimitives.ReadUInt32LittleEndian(source[4..]) != Crc32C.Compute(source[ChecksummedFrom..]))
        {
            return false;
        }

        row = new SegmentRow(
            BinaryPrimitives.ReadUInt32LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[12..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[40..]),
            new BlockHash(source[48..80]),
            new BlockHash(source[80..112]));
        return true;
    }

    /// <summary>Reads a run of rows. False: their bytes are not whole rows, or one of them is damaged.</summary>
    public static bool TryReadAll(ReadOnlySpan<byte> source, out SegmentRow[] rows)
    {
        rows = new SegmentRow[source.Length / EncodedBytes];
        var isWhole = source.Length % EncodedBytes == 0;
        for (var index = 0; isWhole && index < rows.Length; index++)
        {
            isWhole = TryRead(source.Slice(index * EncodedBytes, EncodedBytes), out rows[index]);
        }

        return isWhole;
    }

    public static byte[] WriteAll(ReadOnlySpan<SegmentRow> rows)
    {
        var bytes = new byte[rows.Length * EncodedBytes];
        for (var index = 0; index < rows.Length; index++)
        {
            rows[index].Write(bytes.AsSpan(index * EncodedBytes, EncodedBytes));
        }

        return bytes;
    }

    public void Write(Span<byte> destination)
    {
        destination = destination[..EncodedBytes];
        destination.Clear();
        destination[0] = Format;
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], StartBlock);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], Blocks);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], StartToken);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[24..], Tokens);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[32..], StartByte);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[40..], Bytes);
        FirstHash.CopyTo(destination[48..]);
        LastHash.CopyTo(destination[80..]);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], Crc32C.Compute(destination[ChecksummedFrom..]));
    }

    /// <summary>
    /// This run up to a block inside it, as a fork sees it. Tokens and bytes are taken in proportion, which is exact because the blocks
    /// of a run are full and of one size.
    /// </summary>
    public SegmentRow CutAt(long endBlock, in BlockHash lastHash)
    {
        if (endBlock >= EndBlock)
        {
            return this;
        }

        var blocks = (uint)(endBlock - StartBlock);
        return this with
        {
            Blocks = blocks,
            Tokens = (uint)((ulong)Tokens * blocks / Blocks),
            Bytes = (ulong)((UInt128)Bytes * blocks / Blocks),
            LastHash = lastHash,
        };
    }
}
