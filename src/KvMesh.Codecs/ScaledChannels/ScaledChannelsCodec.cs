using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.ScaledChannels;

/// <summary>
/// Uniform groups per token after each channel was divided by the root of its largest number, after ZipCache (He et al., 2024), and after the means
/// of key channels were taken out, as Outlier Suppression+ does (Wei et al., 2023): what channels have of their own then stretches no group.
/// A strip is means of keys, scales of channels, and the groups as <see cref="GroupQuantizer"/> writes them.
/// </summary>
public sealed class ScaledChannelsCodec : KvCodec
{
    private const int RowsSlot = GroupQuantizer.SlotsUsed;
    private const int MeanSlot = RowsSlot + 1;
    private const int ScaleSlot = RowsSlot + 2;

    private readonly UniformGrid _grid;
    private readonly byte[] _parameters = new byte[UniformGrid.ParameterBytes];

    /// <param name="name">Its name among presets; null for one made of its parameters.</param>
    /// <param name="grid">Groups of consecutive channels of a token.</param>
    /// <exception cref="ArgumentException">The grid is none of 2, 4 or 8 bits per token in groups of a multiple of 8.</exception>
    public ScaledChannelsCodec(string? name, UniformGrid grid)
    {
        if (!grid.IsValid || grid.Axis != GroupAxis.Token)
        {
            throw new ArgumentException($"grid {grid.Name}: groups must run along tokens, of 2, 4 or 8 bits and a multiple of 8 up to {UniformGrid.MaxGroup}.");
        }

        _grid = grid;
        grid.Write(_parameters);
        Name = name ?? $"scaled-{grid.Name}";
    }

    public static CodecFamily Family { get; } = new(CodecId.ScaledChannels, Read,
        [new ScaledChannelsCodec("scaled-int4", new(GroupAxis.Token, 4, 0, false)), new ScaledChannelsCodec("scaled-int8", new(GroupAxis.Token, 8, 0, true))]);

    public override CodecId Id => CodecId.ScaledChannels;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    internal UniformGrid Grid => _grid;

    public override int MaxStripBytes(in StripShape shape) => MeanBytes(shape) + ChannelMeans.Bytes(shape.Channels) + _grid.StripBytes(shape);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        var at = MeanBytes(shape);
        if (at > 0 && !ChannelMeans.TakeOut(rows, scratch.Rent<float>(MeanSlot, shape.Channels), destination[..at], scratch.Level))
        {
            return NotCoded;
        }

        var least = scratch.Rent<float>(MeanSlot, shape.Channels);
        var scales = scratch.Rent<float>(ScaleSlot, shape.Channels);
        Extremes.OfColumns(rows, shape.Channels, least, scales, scratch.Level);
        var stored = MemoryMarshal.Cast<byte, ushort>(destination.Slice(at, ChannelMeans.Bytes(shape.Channels)));
        if (!Describe(least, scales, stored))
        {
            return NotCoded;
        }

        at += ChannelMeans.Bytes(shape.Channels);
        for (var token = 0; token < shape.Tokens; token++)
        {
            Scaling.Multiply(rows.Slice(token * shape.Channels, shape.Channels), scales, scratch.Level);
        }

        var written = GroupQuantizer.EncodeRows(_grid, shape, rows, destination[at..], scratch);
        return written < 0 ? NotCoded : at + written;
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        if (!_grid.Fits(shape) || source.Length != MaxStripBytes(shape))
        {
            return false;
        }

        var at = MeanBytes(shape);
        var means = scratch.Rent<float>(MeanSlot, shape.Channels);
        var scales = scratch.Rent<float>(ScaleSlot, shape.Channels);
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        if ((at > 0 && !ChannelMeans.TryRead(source, means, scratch.Level)) || !ChannelMeans.TryRead(source[at..], scales, scratch.Level)
            || !GroupQuantizer.TryDecodeRows(_grid, shape, source[(at + ChannelMeans.Bytes(shape.Channels))..], rows, scratch))
        {
            return false;
        }

        for (var token = 0; token < shape.Tokens; token++)
        {
            var row = rows.Slice(token * shape.Channels, shape.Channels);
            Scaling.Multiply(row, scales, scratch.Level);
            if (at > 0)
            {
                Scaling.Add(row, means, scratch.Level);
            }
        }

        target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        return true;
    }

    private static ScaledChannelsCodec? Read(byte version, ReadOnlySpan<byte> parameters) =>
        version == 1 && parameters.Length == UniformGrid.ParameterBytes && UniformGrid.Read(parameters) is { Axis: GroupAxis.Token } grid
            ? new ScaledChannelsCodec(null, grid)
            : null;

    /// <summary>Stores the scale of each channel, 0 for one of zeros, and leaves one over it in place of the largest numbers; false when a half cannot say one.</summary>
    private static bool Describe(ReadOnlySpan<float> least, Span<float> most, Span<ushort> stored)
    {
        for (var channel = 0; channel < most.Length; channel++)
        {
            stored[channel] = Fp16.FromSingle(MathF.Sqrt(MathF.Max(-least[channel], most[channel])));
            var scale = Fp16.ToSingle(stored[channel]);
            most[channel] = scale == 0 ? 0 : 1 / scale;
            if (!float.IsFinite(scale))
            {
                return false;
            }
        }

        return true;
    }

    private static int MeanBytes(in StripShape shape) => shape.Kind == PlaneKind.Key ? ChannelMeans.Bytes(shape.Channels) : 0;
}
