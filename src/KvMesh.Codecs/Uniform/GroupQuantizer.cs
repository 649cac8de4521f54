using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Uniform;

/// <summary>
/// Codes a strip on a <see cref="UniformGrid"/>. A strip is the descriptions of all groups (scale, and zero point unless symmetric, as
/// halves; by token and then group, or by group and then channel), and then the codes row by row as <see cref="RowPacking"/> lays them.
/// Codes are computed from scales as they are stored, so that what is decoded is what was meant.
/// </summary>
internal static class GroupQuantizer
{
    private const int ScaleSlot = 0;
    private const int ZeroSlot = 1;
    private const int RowSlot = 2;

    /// <summary>Slots of a scratch that are free for those who give and take numbers begin here.</summary>
    public const int SlotsUsed = 4;

    /// <summary>Writes a strip that fits the grid; <see cref="KvCodec.NotCoded"/> when a range is beyond what a half can say.</summary>
    public static int Encode(in UniformGrid grid, in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        if (!grid.Fits(shape))
        {
            return KvCodec.NotCoded;
        }

        var bytes = grid.StripBytes(shape);
        var groups = MemoryMarshal.Cast<byte, ushort>(destination[..(grid.GroupCount(shape) * grid.GroupBytes)]);
        var codes = destination[(groups.Length * sizeof(ushort))..bytes];
        if (Bf16Strips.Fits(grid, shape, scratch.Level))
        {
            return Bf16Strips.Encode(grid, shape, source, groups, codes, scratch) ? bytes : KvCodec.NotCoded;
        }

        var rows = scratch.Rent<float>(RowSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        return CodeRows(grid, shape, rows, groups, codes, scratch) ? bytes : KvCodec.NotCoded;
    }

    /// <summary>As <see cref="Encode"/> of rows that are numbers already. Uses the slots up to <see cref="SlotsUsed"/>.</summary>
    public static int EncodeRows(in UniformGrid grid, in StripShape shape, ReadOnlySpan<float> rows, Span<byte> destination, CodecScratch scratch)
    {
        if (!grid.Fits(shape))
        {
            return KvCodec.NotCoded;
        }

        var bytes = grid.StripBytes(shape);
        var groups = MemoryMarshal.Cast<byte, ushort>(destination[..(grid.GroupCount(shape) * grid.GroupBytes)]);
        return CodeRows(grid, shape, rows, groups, destination[(groups.Length * sizeof(ushort))..bytes], scratch) ? bytes : KvCodec.NotCoded;
    }

    public static bool TryDecode(in UniformGrid grid, in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        if (!grid.Fits(shape) || source.Length != grid.StripBytes(shape))
        {
            return false;
        }

        var described = source[..(grid.GroupCount(shape) * grid.GroupBytes)];
        if (!FiniteScan.AllFinite(KvElement.Float16, described, scratch.Level))
        {
            return false;
        }

        var groups = MemoryMarshal.Cast<byte, ushort>(described);
        var codes = source[described.Length..];
        if (Bf16Strips.Fits(grid, shape, scratch.Level))
        {
            Bf16Strips.Decode(grid, shape, groups, codes, target, scratch);
            return true;
        }

        var rows = scratch.Rent<float>(RowSlot, shape.Elements);
        DecodeRows(grid, shape, groups, codes, rows, scratch);
        target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        return true;
    }

    /// <summary>As <see cref="TryDecode"/> to rows of numbers. Uses the slots up to <see cref="SlotsUsed"/>.</summary>
    public static bool TryDecodeRows(in UniformGrid grid, in StripShape shape, ReadOnlySpan<byte> source, Span<float> rows, CodecScratch scratch)
    {
        if (!grid.Fits(shape) || source.Length != grid.StripBytes(shape))
        {
            return false;
        }

        var described = source[..(grid.GroupCount(shape) * grid.GroupBytes)];
        if (!FiniteScan.AllFinite(KvElement.Float16, described, scratch.Level))
        {
            return false;
        }

        DecodeRows(grid, shape, MemoryMarshal.Cast<byte, ushort>(described), source[described.Length..], rows, scratch);
        return true;
    }

    /// <summary>Scale and zero point of a range as they are stored. A range of nothing has scale 1.</summary>
    internal static bool Describe(in UniformGrid grid, float least, float most, Span<ushort> stored, out float scale, out float zero)
    {
        var step = grid.IsSymmetric ? MathF.Max(MathF.Abs(least), MathF.Abs(most)) / grid.Bias : (most - least) / grid.Steps;
        stored[0] = Fp16.FromSingle(step);
        scale = Fp16.ToSingle(stored[0]);
        zero = 0;
        if (!grid.IsSymmetric)
        {
            stored[1] = Fp16.FromSingle(least);
            zero = Fp16.ToSingle(stored[1]);
        }

        if (scale == 0)
        {
            stored[0] = Fp16.FromSingle(1);
            scale = 1;
        }

        return float.IsFinite(scale) && float.IsFinite(zero);
    }

    private static void DecodeRows(
        in UniformGrid grid, in StripShape shape, ReadOnlySpan<ushort> groups, ReadOnlySpan<byte> codes, Span<float> rows, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var scales = scratch.Rent<float>(ScaleSlot, channels);
        var zeros = scratch.Rent<float>(ZeroSlot, channels);
        zeros.Clear();
        var codeBytes = channels / grid.Parts;
        var length = grid.GroupLength(shape);
        var perToken = channels / length;
        for (var token = 0; token < shape.Tokens; token++)
        {
            if (grid.Axis == GroupAxis.Token)
            {
                SpreadGroups(grid, groups.Slice(token * perToken * grid.GroupBytes / sizeof(ushort), perToken * grid.GroupBytes / sizeof(ushort)), length, scales, zeros);
            }
            else if (token % length == 0)
            {
                ColumnGroups.Read(grid, groups[(token / length * channels * grid.GroupBytes / sizeof(ushort))..], scales, zeros, scratch.Level);
            }

            RowPacking.Unpack(grid, codes.Slice(token * codeBytes, codeBytes), scales, zeros, rows.Slice(token * channels, channels), scratch.Level);
        }
    }

    private static bool CodeRows(
        in UniformGrid grid, in StripShape shape, ReadOnlySpan<float> rows, Span<ushort> groups, Span<byte> codes, CodecScratch scratch) =>
        grid.Axis == GroupAxis.Token ? EncodeByToken(grid, shape, rows, groups, codes, scratch) : EncodeByChannel(grid, shape, rows, groups, codes, scratch);

    private static bool EncodeByToken(
        in UniformGrid grid, in StripShape shape, ReadOnlySpan<float> rows, Span<ushort> groups, Span<byte> codes, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var inverses = scratch.Rent<float>(ScaleSlot, channels);
        var zeros = scratch.Rent<float>(ZeroSlot, channels);
        zeros.Clear();
        var length = grid.GroupLength(shape);
        var codeBytes = channels / grid.Parts;
        var at = 0;
        for (var token = 0; token < shape.Tokens; token++)
        {
            var row = rows.Slice(token * channels, channels);
            for (var first = 0; first < channels; first += length)
            {
                var (least, most) = Extremes.OfRow(row.Slice(first, length), scratch.Level);
                if (!Describe(grid, least, most, groups[at..], out var scale, out var zero))
                {
                    return false;
                }

                at += grid.GroupBytes / sizeof(ushort);
                inverses.Slice(first, length).Fill(1 / scale);
                if (!grid.IsSymmetric)
                {
                    zeros.Slice(first, length).Fill(zero);
                }
            }

            RowPacking.Pack(grid, row, inverses, zeros, codes.Slice(token * codeBytes, codeBytes), scratch.Level);
        }

        return true;
    }

    private static bool EncodeByChannel(
        in UniformGrid grid, in StripShape shape, ReadOnlySpan<float> rows, Span<ushort> groups, Span<byte> codes, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var inverses = scratch.Rent<float>(ScaleSlot, channels);
        var zeros = scratch.Rent<float>(ZeroSlot, channels);
        var length = grid.GroupLength(shape);
        var codeBytes = channels / grid.Parts;
        for (var first = 0; first < shape.Tokens; first += length)
        {
            // Extremes of all columns first, in the places of what is computed from them.
            var tile = rows.Slice(first * channels, length * channels);
            Extremes.OfColumns(tile, channels, zeros, inverses, scratch.Level);
            var described = groups.Slice(first / length * channels * grid.GroupBytes / sizeof(ushort), channels * grid.GroupBytes / sizeof(ushort));
            if (!ColumnGroups.Describe(grid, zeros, inverses, described, scratch.Level))
            {
                return false;
            }

            for (var row = 0; row < length; row++)
            {
                RowPacking.Pack(grid, tile.Slice(row * channels, channels), inverses, zeros, codes.Slice((first + row) * codeBytes, codeBytes), scratch.Level);
            }
        }

        return true;
    }

    private static void SpreadGroups(in UniformGrid grid, ReadOnlySpan<ushort> groups, int length, Span<float> scales, Span<float> zeros)
    {
        var words = grid.GroupBytes / sizeof(ushort);
        for (var group = 0; group * words < groups.Length; group++)
        {
            scales.Slice(group * length, length).Fill(Fp16.ToSingle(groups[group * words]));
            if (!grid.IsSymmetric)
            {
                zeros.Slice(group * length, length).Fill(Fp16.ToSingle(groups[(group * words) + 1]));
            }
        }
    }
}
