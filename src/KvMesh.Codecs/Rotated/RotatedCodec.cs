using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Rotated;

/// <summary>
/// Uniform groups per token after a Hadamard rotation, after QuaRot (Ashkboos et al., 2024): every number is spread over all channels of its
/// row, so that no channel stretches a group. Means of key channels may be taken out before, which a rotation spreads but does not remove.
/// A strip is those means, then descriptions of groups, then codes.
/// </summary>
public sealed class RotatedCodec : KvCodec
{
    private const int ParameterCount = 1 + UniformGrid.ParameterBytes + sizeof(uint);

    private const int RowsSlot = 0;
    private const int FactorSlot = 1;
    private const int MeanSlot = 2;
    private const int InverseSlot = 3;
    private const int ZeroSlot = 4;

    private readonly UniformGrid _grid;
    private readonly bool _isCentred;
    private readonly uint _seed;
    private readonly byte[] _parameters = new byte[ParameterCount];

    /// <param name="name">Its name among presets; null for one made of its parameters.</param>
    /// <param name="grid">Groups of consecutive channels of a token.</param>
    /// <param name="isCentred">Whether means of key channels are taken out.</param>
    /// <param name="seed">From which signs are drawn.</param>
    /// <exception cref="ArgumentException">The grid is none of 2, 4 or 8 bits per token in groups of a multiple of 8.</exception>
    public RotatedCodec(string? name, UniformGrid grid, bool isCentred, uint seed = 1)
    {
        if (!grid.IsValid || grid.Axis != GroupAxis.Token)
        {
            throw new ArgumentException($"grid {grid.Name}: groups must run along tokens, of 2, 4 or 8 bits and a multiple of 8 up to {UniformGrid.MaxGroup}.");
        }

        (_grid, _isCentred, _seed) = (grid, isCentred, seed);
        Name = name ?? $"hadamard-{grid.Name}{(isCentred ? "-centred" : "")}-s{seed}";
        _parameters[0] = isCentred ? (byte)1 : (byte)0;
        grid.Write(_parameters.AsSpan(1));
        BinaryPrimitives.WriteUInt32LittleEndian(_parameters.AsSpan(1 + UniformGrid.ParameterBytes), seed);
    }

    public static CodecFamily Family { get; } = new(CodecId.Rotated, Read,
    [
        new RotatedCodec("hadamard-int4-g128", new(GroupAxis.Token, 4, 0, false), isCentred: false),
        new RotatedCodec("hadamard-int4-g128-centred", new(GroupAxis.Token, 4, 0, false), isCentred: true),
    ]);

    public override CodecId Id => CodecId.Rotated;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    internal UniformGrid Grid => _grid;

    internal bool Centres(PlaneKind kind) => _isCentred && kind == PlaneKind.Key;

    public override int MaxStripBytes(in StripShape shape) => MeanBytes(shape) + _grid.StripBytes(shape);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        if (!_grid.Fits(shape) || !RandomRotation.Fits(shape.Channels))
        {
            return NotCoded;
        }

        var channels = shape.Channels;
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        var factors = scratch.Rent<float>(FactorSlot, channels);
        RandomRotation.FillFactors(_seed, factors);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        var at = MeanBytes(shape);
        if (at > 0 && !ChannelMeans.TakeOut(rows, scratch.Rent<float>(MeanSlot, channels), destination[..at], scratch.Level))
        {
            return NotCoded;
        }

        var groups = MemoryMarshal.Cast<byte, ushort>(destination.Slice(at, _grid.GroupCount(shape) * _grid.GroupBytes));
        var codes = destination[(at + (groups.Length * sizeof(ushort)))..];
        for (var token = 0; token < shape.Tokens; token++)
        {
            var row = rows.Slice(token * channels, channels);
            RandomRotation.TurnForth(row, factors, scratch.Level);
            if (!EncodeRow(row, _grid.GroupLength(shape), ref groups, codes.Slice(token * channels / _grid.Parts, channels / _grid.Parts), scratch))
            {
                return NotCoded;
            }
        }

        return MaxStripBytes(shape);
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        if (!_grid.Fits(shape) || !RandomRotation.Fits(shape.Channels) || source.Length != MaxStripBytes(shape))
        {
            return false;
        }

        var channels = shape.Channels;
        var means = scratch.Rent<float>(MeanSlot, channels);
        var described = source.Slice(MeanBytes(shape), _grid.GroupCount(shape) * _grid.GroupBytes);
        if (!FiniteScan.AllFinite(KvElement.Float16, described, scratch.Level) || (MeanBytes(shape) > 0 && !ChannelMeans.TryRead(source, means, scratch.Level)))
        {
            return false;
        }

        var groups = MemoryMarshal.Cast<byte, ushort>(described);
        var codes = source[(MeanBytes(shape) + described.Length)..];
        var factors = scratch.Rent<float>(FactorSlot, channels);
        var row = scratch.Rent<float>(RowsSlot, channels);
        RandomRotation.FillFactors(_seed, factors);
        for (var token = 0; token < shape.Tokens; token++)
        {
            DecodeRow(row, _grid.GroupLength(shape), ref groups, codes.Slice(token * channels / _grid.Parts, channels / _grid.Parts), scratch);
            RandomRotation.TurnBack(row, factors, scratch.Level);
            if (MeanBytes(shape) > 0)
            {
                Scaling.Add(row, means, scratch.Level);
            }

            target.WriteRow(token, row, scratch.Level);
        }

        return true;
    }

    private static RotatedCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length != ParameterCount || parameters[0] > 1 || UniformGrid.Read(parameters[1..]) is not { Axis: GroupAxis.Token } grid)
        {
            return null;
        }

        return new RotatedCodec(null, grid, parameters[0] == 1, BinaryPrimitives.ReadUInt32LittleEndian(parameters[(1 + UniformGrid.ParameterBytes)..]));
    }

    private int MeanBytes(in StripShape shape) => Centres(shape.Kind) ? ChannelMeans.Bytes(shape.Channels) : 0;

    private bool EncodeRow(ReadOnlySpan<float> row, int length, ref Span<ushort> groups, Span<byte> codes, CodecScratch scratch)
    {
        var inverses = scratch.Rent<float>(InverseSlot, row.Length);
        var zeros = scratch.Rent<float>(ZeroSlot, row.Length);
        for (var first = 0; first < row.Length; first += length)
        {
            var (least, most) = Extremes.OfRow(row.Slice(first, length), scratch.Level);
            if (!GroupQuantizer.Describe(_grid, least, most, groups, out var scale, out var zero))
            {
                return false;
            }

            groups = groups[(_grid.GroupBytes / sizeof(ushort))..];
            inverses.Slice(first, length).Fill(1 / scale);
            zeros.Slice(first, length).Fill(zero);
        }

        RowPacking.Pack(_grid, row, inverses, zeros, codes, scratch.Level);
        return true;
    }

    private void DecodeRow(Span<float> row, int length, ref ReadOnlySpan<ushort> groups, ReadOnlySpan<byte> codes, CodecScratch scratch)
    {
        var scales = scratch.Rent<float>(InverseSlot, row.Length);
        var zeros = scratch.Rent<float>(ZeroSlot, row.Length);
        for (var first = 0; first < row.Length; first += length)
        {
            scales.Slice(first, length).Fill(Fp16.ToSingle(groups[0]));
            zeros.Slice(first, length).Fill(_grid.IsSymmetric ? 0 : Fp16.ToSingle(groups[1]));
            groups = groups[(_grid.GroupBytes / sizeof(ushort))..];
        }

        RowPacking.Unpack(_grid, codes, scales, zeros, row, scratch.Level);
    }
}
