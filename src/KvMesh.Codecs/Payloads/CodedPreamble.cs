using System.Buffers.Binary;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Payloads;

/// <summary>
/// What stands before an encoded block, so that it can be decoded without anything but its layout: 64 bytes, little endian.
/// <code>
///  0  4  "KVP1"
///  4  1  order in memory       5  1  element          6  2  zero
///  8  4  tokens               12  2  first layer     14  2  layers
/// 16  4  rank                 20  4  ranks, 0 all heads
/// 24  2  layers of the layout 26  2  heads           28  2  channels
/// 30  2  zero                 32 32  hash of the layout, in its own element
/// </code>
/// What stands from 24 on is zero where the layout has a name, by which others know it too.
/// </summary>
public readonly record struct CodedPreamble(BlockOrder Order, KvElement Element, int Tokens, int FirstLayer, int LayerCount, int Rank, int Ranks)
{
    public const int Bytes = 64;

    private const int ShapeOffset = 24;
    private const int HashOffset = 32;
    private const uint Magic = 0x3150_564B;

    /// <summary>The layout itself, where nobody named it.</summary>
    public PayloadShape Shape { get; init; }

    public BlockRegion Region =>
        new(FirstLayer, LayerCount, Ranks > 1 ? HeadSelection.TensorParallel(Rank, Ranks) : HeadSelection.All, 0, Tokens);

    public static ReadOnlySpan<byte> LayoutHash(ReadOnlySpan<byte> source) => source[HashOffset..Bytes];

    public void Write(Span<byte> destination, ReadOnlySpan<byte> layoutHash)
    {
        destination[..Bytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        destination[4] = (byte)Order;
        destination[5] = (byte)Element;
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], Tokens);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[12..], (ushort)FirstLayer);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[14..], (ushort)LayerCount);
        BinaryPrimitives.WriteInt32LittleEndian(destination[16..], Rank);
        BinaryPrimitives.WriteInt32LittleEndian(destination[20..], Ranks);
        Shape.Write(destination[ShapeOffset..]);
        layoutHash.CopyTo(destination[HashOffset..Bytes]);
    }

    /// <summary>False when the bytes do not begin with a preamble that this version wrote.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out CodedPreamble preamble)
    {
        preamble = default;
        if (source.Length < Bytes || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic
            || BinaryPrimitives.ReadUInt16LittleEndian(source[6..]) != 0
            || !PayloadShape.TryRead(source[ShapeOffset..HashOffset], out var shape))
        {
            return false;
        }

        preamble = new CodedPreamble(
            (BlockOrder)source[4],
            (KvElement)source[5],
            BinaryPrimitives.ReadInt32LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[12..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[14..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[20..]))
        {
            Shape = shape,
        };
        return preamble.Element.IsKnown() && preamble.Element != KvElement.Opaque
            && preamble.Order is >= BlockOrder.LayerPartTokenHead and <= BlockOrder.LayerTokenPartHead
            && preamble.Tokens is > 0 and <= KvLayout.MaxBlockTokens && preamble.LayerCount > 0
            && (preamble.Ranks is 0 or 1 ? preamble.Rank >= 0 : (uint)preamble.Rank < (uint)preamble.Ranks && preamble.Ranks <= KvLayout.MaxWidth);
    }
}
