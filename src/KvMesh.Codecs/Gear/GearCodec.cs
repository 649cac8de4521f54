using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.NonUniform;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Gear;

/// <summary>
/// KIVI's groups, the farthest numbers kept apart, and what the groups lose as a product of two thin matrices, after GEAR (Kang et al., 2024).
/// Never worse than its groups; how much better depends on how alike the losses of tokens are. A strip is places and values of the outliers,
/// the groups as <see cref="GroupQuantizer"/> writes them, and both matrices as halves.
/// </summary>
public sealed class GearCodec : KvCodec
{
    /// <summary>Most columns of the thin matrices.</summary>
    public const int MostRank = 32;

    private const int Rounds = 2;
    private const int RowsSlot = GroupQuantizer.SlotsUsed;
    private const int RestSlot = RowsSlot + 1;
    private const int LeftSlot = RowsSlot + 2;
    private const int RightSlot = RowsSlot + 3;

    private readonly UniformGrid _keys;
    private readonly UniformGrid _values;
    private readonly byte[] _parameters;

    /// <param name="bits">Bits of a code: 2, 4 or 8.</param>
    /// <param name="group">Tokens of a group of keys and channels of one of values: a multiple of 8.</param>
    /// <param name="rank">Columns of the thin matrices, 0 to 32.</param>
    /// <param name="outliers">Share of the numbers of a channel of keys or a row of values that are kept apart, in parts of 10,000; at most 2,000.</param>
    /// <exception cref="ArgumentException">A number is out of its range.</exception>
    public GearCodec(int bits, int group, int rank, int outliers)
    {
        _keys = new UniformGrid(GroupAxis.Channel, bits, group, false);
        _values = new UniformGrid(GroupAxis.Token, bits, group, false);
        if (!IsValid(bits, group, rank, outliers))
        {
            throw new ArgumentException(
                $"{bits} bits in groups of {group}, rank {rank}, {outliers} outliers in 10,000: bits must be 2, 4 or 8, groups multiples of 8 up to {UniformGrid.MaxGroup}, rank 0 to {MostRank}, outliers 0 to {Vectors.MostOutliers}.");
        }

        (Rank, Outliers) = (rank, outliers);
        Name = $"gear{bits}-g{group}-r{rank}-s{outliers}";
        _parameters = [(byte)bits, (byte)group, (byte)(group >> 8), (byte)rank, (byte)outliers, (byte)(outliers >> 8)];
    }

    public static CodecFamily Family { get; } = new(CodecId.Gear, Read, [new GearCodec(4, 64, 4, 200), new GearCodec(2, 64, 4, 200)]);

    public override CodecId Id => CodecId.Gear;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override int TokenMultiple => _keys.Group;

    internal int Rank { get; }

    internal int Outliers { get; }

    internal UniformGrid Grid(PlaneKind kind) => kind == PlaneKind.Key ? _keys : _values;

    public override int MaxStripBytes(in StripShape shape) =>
        OutlierList.Bytes(Vectors.Of(shape, Outliers, Outliers)) + Grid(shape.Kind).StripBytes(shape) + FactorBytes(shape);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var grid = Grid(shape.Kind);
        if (!grid.Fits(shape))
        {
            return NotCoded;
        }

        var vectors = Vectors.Of(shape, Outliers, Outliers);
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        var at = OutlierList.Bytes(vectors);
        if (!OutlierList.TakeOut(vectors, rows, shape.Channels, destination[..at], scratch.Rent<float>(LeftSlot, vectors.Length)))
        {
            return NotCoded;
        }

        var written = GroupQuantizer.EncodeRows(grid, shape, rows, destination[at..], scratch);
        if (written < 0)
        {
            return NotCoded;
        }

        var decoded = scratch.Rent<float>(RestSlot, shape.Elements);
        if (!GroupQuantizer.TryDecodeRows(grid, shape, destination.Slice(at, written), decoded, scratch))
        {
            throw new InvalidOperationException($"{Name} cannot read the groups that it wrote.");
        }

        at += written;
        Scaling.Subtract(rows, decoded, scratch.Level);
        var left = scratch.Rent<float>(LeftSlot, shape.Tokens * Rank);
        var right = scratch.Rent<float>(RightSlot, shape.Channels * Rank);
        ThinProduct.Approximate(rows, shape.Channels, Rank, Rounds, left, right, scratch.Level);
        at += Store(left, destination[at..], scratch.Level);
        return at + Store(right, destination[at..], scratch.Level);
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        var grid = Grid(shape.Kind);
        if (!grid.Fits(shape) || source.Length != MaxStripBytes(shape))
        {
            return false;
        }

        var vectors = Vectors.Of(shape, Outliers, Outliers);
        var listed = source[..OutlierList.Bytes(vectors)];
        var coded = source.Slice(listed.Length, grid.StripBytes(shape));
        var factors = source[(listed.Length + coded.Length)..];
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        if (!FiniteScan.AllFinite(KvElement.Float16, factors, scratch.Level) || !GroupQuantizer.TryDecodeRows(grid, shape, coded, rows, scratch))
        {
            return false;
        }

        var left = scratch.Rent<float>(LeftSlot, shape.Tokens * Rank);
        var right = scratch.Rent<float>(RightSlot, shape.Channels * Rank);
        var halves = MemoryMarshal.Cast<byte, ushort>(factors);
        Fp16.ToSingle(halves[..left.Length], left, scratch.Level);
        Fp16.ToSingle(halves[left.Length..], right, scratch.Level);
        ThinProduct.AddTo(rows, shape.Channels, Rank, left, right, scratch.Level);
        if (!OutlierList.TryPutBack(vectors, rows, shape.Channels, listed, scratch.Level))
        {
            return false;
        }

        target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        return true;
    }

    private static int Store(ReadOnlySpan<float> factor, Span<byte> destination, SimdLevel level)
    {
        Fp16.FromSingle(factor, MemoryMarshal.Cast<byte, ushort>(destination[..(factor.Length * sizeof(ushort))]), level);
        return factor.Length * sizeof(ushort);
    }

    private static GearCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length != 6)
        {
            return null;
        }

        var (group, outliers) = (parameters[1] | (parameters[2] << 8), parameters[4] | (parameters[5] << 8));
        return IsValid(parameters[0], group, parameters[3], outliers) ? new GearCodec(parameters[0], group, parameters[3], outliers) : null;
    }

    private static bool IsValid(int bits, int group, int rank, int outliers) =>
        group > 0 && new UniformGrid(GroupAxis.Channel, bits, group, false).IsValid && rank is >= 0 and <= MostRank && Vectors.IsShare(outliers);

    private int FactorBytes(in StripShape shape) => (shape.Tokens + shape.Channels) * Rank * sizeof(ushort);
}
