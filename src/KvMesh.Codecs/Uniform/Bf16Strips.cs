using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Uniform;

/// <summary>
/// Strips of bfloat16 on a <see cref="UniformGrid"/> without singles in memory between: some rows at a time, extremes first, then what describes
/// their groups, many at once, then codes while the rows are near. AVX2 and AVX-512.
/// </summary>
internal static class Bf16Strips
{
    // Rows whose extremes are taken before they are coded: they are still in the nearest cache then.
    private const int TileRows = 16;
    private const int VectorElements = 16;
    private const int LineBytes = 64;

    private const int ScaleSlot = 0;
    private const int ZeroSlot = 1;
    private const int LeastSlot = 2;
    private const int MostSlot = 3;

    /// <summary>Whether rows of this shape divide into whole vectors.</summary>
    public static bool Fits(in UniformGrid grid, in StripShape shape, SimdLevel level)
    {
        if (level < SimdLevel.Vector256 || shape.Element != KvElement.BFloat16 || shape.Channels / grid.Parts % VectorElements != 0)
        {
            return false;
        }

        var length = grid.GroupLength(shape);
        return grid.Axis == GroupAxis.Channel || length == shape.Channels || (length >= VectorElements && int.IsPow2(length));
    }

    /// <summary>False when a range is beyond what a half can say.</summary>
    public static bool Encode(in UniformGrid grid, in StripShape shape, in StripSource source, Span<ushort> groups, Span<byte> codes, CodecScratch scratch) =>
        grid.Bits switch
        {
            8 => Encode<EightBits>(grid, shape, source, groups, codes, scratch),
            4 => Encode<FourBits>(grid, shape, source, groups, codes, scratch),
            _ => Encode<TwoBits>(grid, shape, source, groups, codes, scratch),
        };

    /// <summary>Descriptions of groups are finite, and there are as many as the shape has.</summary>
    public static void Decode(in UniformGrid grid, in StripShape shape, ReadOnlySpan<ushort> groups, ReadOnlySpan<byte> codes, in StripTarget target, CodecScratch scratch)
    {
        switch (grid.Bits)
        {
            case 8:
                Decode<EightBits>(grid, shape, groups, codes, target, scratch);
                break;
            case 4:
                Decode<FourBits>(grid, shape, groups, codes, target, scratch);
                break;
            default:
                Decode<TwoBits>(grid, shape, groups, codes, target, scratch);
                break;
        }
    }

    private static bool Encode<TWidth>(
        in UniformGrid grid, in StripShape shape, in StripSource source, Span<ushort> groups, Span<byte> codes, CodecScratch scratch)
        where TWidth : struct, ICodeWidth => (grid.Axis, grid.IsSymmetric) switch
        {
            (GroupAxis.Token, true) => Encode<TWidth, PerGroup, AroundZero>(grid, shape, source, groups, codes, scratch),
            (GroupAxis.Token, false) => Encode<TWidth, PerGroup, FromLeast>(grid, shape, source, groups, codes, scratch),
            (_, true) => Encode<TWidth, PerChannel, AroundZero>(grid, shape, source, groups, codes, scratch),
            _ => Encode<TWidth, PerChannel, FromLeast>(grid, shape, source, groups, codes, scratch),
        };

    private static void Decode<TWidth>(
        in UniformGrid grid, in StripShape shape, ReadOnlySpan<ushort> groups, ReadOnlySpan<byte> codes, in StripTarget target, CodecScratch scratch)
        where TWidth : struct, ICodeWidth
    {
        switch (grid.Axis, grid.IsSymmetric)
        {
            case (GroupAxis.Token, true):
                Decode<TWidth, PerGroup, AroundZero>(grid, shape, groups, codes, target, scratch);
                break;
            case (GroupAxis.Token, false):
                Decode<TWidth, PerGroup, FromLeast>(grid, shape, groups, codes, target, scratch);
                break;
            case (_, true):
                Decode<TWidth, PerChannel, AroundZero>(grid, shape, groups, codes, target, scratch);
                break;
            default:
                Decode<TWidth, PerChannel, FromLeast>(grid, shape, groups, codes, target, scratch);
                break;
        }
    }

    private static bool Encode<TWidth, TAxis, TOrigin>(
        in UniformGrid grid, in StripShape shape, in StripSource source, Span<ushort> groups, Span<byte> codes, CodecScratch scratch)
        where TWidth : struct, ICodeWidth
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var length = grid.GroupLength(shape);
        var row = RowGrid.Of(grid, shape.Channels, TAxis.IsPerGroup ? length : shape.Channels);
        var perRow = TAxis.IsPerGroup ? shape.Channels / length : 0;
        var tile = TAxis.IsPerGroup ? TileRows : length;
        var most = TAxis.IsPerGroup ? tile * perRow : shape.Channels;
        var words = grid.GroupBytes / sizeof(ushort);
        for (var first = 0; first < shape.Tokens; first += tile)
        {
            var rows = Math.Min(tile, shape.Tokens - first);
            var count = TAxis.IsPerGroup ? rows * perRow : shape.Channels;
            var zeros = scratch.Rent<float>(ZeroSlot, most)[..count];
            var inverses = scratch.Rent<float>(ScaleSlot, most)[..count];
            FindExtremes<TAxis>(source, first, rows, length, zeros, inverses, scratch);
            if (!ColumnGroups.Describe(grid, zeros, inverses, groups[..(count * words)], scratch.Level))
            {
                return false;
            }

            groups = groups[(count * words)..];
            for (var token = 0; token < rows; token++)
            {
                Bf16Packing.Pack<TWidth, TAxis, TOrigin>(
                    row, ref Start(source.Row(first + token)), ref Unsafe.Add(ref MemoryMarshal.GetReference(inverses), token * perRow),
                    ref Unsafe.Add(ref MemoryMarshal.GetReference(zeros), token * perRow),
                    ref MemoryMarshal.GetReference(codes.Slice((first + token) * row.CodeBytes, row.CodeBytes)), scratch.Level);
            }
        }

        return true;
    }

    private static void FindExtremes<TAxis>(
        in StripSource source, int first, int rows, int length, Span<float> least, Span<float> most, CodecScratch scratch)
        where TAxis : struct, IScaleAxis
    {
        var sortedLeast = scratch.Rent<short>(LeastSlot, least.Length);
        var sortedMost = scratch.Rent<short>(MostSlot, most.Length);
        if (TAxis.IsPerGroup)
        {
            Bf16Extremes.OfRows(source, first, rows, length, sortedLeast, sortedMost, scratch.Level);
        }
        else
        {
            Bf16Extremes.OfColumns(source, first, rows, sortedLeast, sortedMost, scratch.Level);
        }

        Bf16Extremes.ToSingle(sortedLeast, least);
        Bf16Extremes.ToSingle(sortedMost, most);
    }

    private static unsafe void Decode<TWidth, TAxis, TOrigin>(
        in UniformGrid grid, in StripShape shape, ReadOnlySpan<ushort> groups, ReadOnlySpan<byte> codes, in StripTarget target, CodecScratch scratch)
        where TWidth : struct, ICodeWidth
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var length = grid.GroupLength(shape);
        var row = RowGrid.Of(grid, shape.Channels, TAxis.IsPerGroup ? length : shape.Channels);
        var perRow = TAxis.IsPerGroup ? shape.Channels / length : 0;
        var tile = TAxis.IsPerGroup ? shape.Tokens : length;
        var count = TAxis.IsPerGroup ? shape.Tokens * perRow : shape.Channels;
        var words = grid.GroupBytes / sizeof(ushort);
        var scales = scratch.Rent<float>(ScaleSlot, count);
        var zeros = scratch.Rent<float>(ZeroSlot, count);
        var partBytes = row.CodeBytes * sizeof(ushort);
        for (var first = 0; first < shape.Tokens; first += tile)
        {
            ColumnGroups.Read(grid, groups[..(count * words)], scales, zeros, scratch.Level);
            groups = groups[(count * words)..];
            for (var token = 0; token < tile; token++)
            {
                var at = token * perRow;
                fixed (byte* start = target.Row(first + token))
                {
                    Bf16Unpacking.Unpack<TWidth, TAxis, TOrigin>(
                        row, ref MemoryMarshal.GetReference(codes.Slice((first + token) * row.CodeBytes, row.CodeBytes)),
                        ref Unsafe.Add(ref MemoryMarshal.GetReference(scales), at), ref Unsafe.Add(ref MemoryMarshal.GetReference(zeros), at), (ushort*)start,
                        target.Streams && ((nuint)start | (nuint)partBytes) % LineBytes == 0, scratch.Level);
                }
            }
        }
    }

    private static ref ushort Start(ReadOnlySpan<byte> row) => ref Unsafe.As<byte, ushort>(ref MemoryMarshal.GetReference(row));
}
