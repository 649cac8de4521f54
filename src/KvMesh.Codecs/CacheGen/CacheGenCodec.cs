using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.CacheGen;

/// <summary>
/// Numbers of a token in even steps of its largest one, finer in the first layers than in later ones, and entropy coded by channel: what the
/// released code of CacheGen does (Liu et al., 2024). It sends a table for each channel; here laws follow from what was coded before, so that a block
/// needs none. A strip is the largest number of each row as a bfloat16, and an <see cref="AdaptiveStream"/>.
/// </summary>
public sealed class CacheGenCodec : KvCodec
{
    /// <summary>Most steps of a row, zero included.</summary>
    public const int MostBins = 64;

    private const int RowSlot = AdaptiveStream.SlotsUsed;
    private const int NumberSlot = RowSlot + 1;
    private const byte Mode = 1;

    private readonly byte[] _parameters;

    /// <param name="name">Its name among presets; null for one made of its parameters.</param>
    /// <param name="first">Bins of the first layers: an even number from 4 to 64.</param>
    /// <param name="rest">Bins of the layers behind them.</param>
    /// <param name="keyLayers">How many first layers of keys take <paramref name="first"/>, 0 to 255.</param>
    /// <param name="valueLayers">How many of values and latents.</param>
    /// <exception cref="ArgumentException">A number is out of its range.</exception>
    public CacheGenCodec(string? name, int first, int rest, int keyLayers, int valueLayers)
    {
        if (!AreBins(first) || !AreBins(rest) || keyLayers is < 0 or > byte.MaxValue || valueLayers is < 0 or > byte.MaxValue)
        {
            throw new ArgumentException($"{first} and {rest} bins, {keyLayers} and {valueLayers} first layers: bins must be even, 4 to {MostBins}, layers 0 to {byte.MaxValue}.");
        }

        _parameters = [Mode, (byte)first, (byte)rest, (byte)keyLayers, (byte)valueLayers];
        Name = name ?? (first == rest ? $"cachegen-{first}" : $"cachegen-{first}-{rest}-k{keyLayers}-v{valueLayers}");
    }

    /// <summary>All of the released levels for models of 32 layers, and the deltas of the paper.</summary>
    public static CodecFamily Family { get; } = new(CodecId.CacheGen, Read,
    [
        new CacheGenCodec(null, 32, 32, 0, 0), new CacheGenCodec(null, 16, 16, 0, 0), new CacheGenCodec("cachegen-graded", 32, 16, 10, 2),
        new CacheGenDeltaCodec(0.25f), new CacheGenDeltaCodec(0.5f), new CacheGenDeltaCodec(1), new CacheGenDeltaCodec(0.5f, isGraded: true),
    ]);

    public override CodecId Id => CodecId.CacheGen;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override bool IsFixedSize => false;

    public override int MaxStripBytes(in StripShape shape) => (shape.Tokens * sizeof(ushort)) + AdaptiveStream.MaxBytes(shape.Elements);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var most = MostStep(shape);
        var channels = shape.Channels;
        var row = scratch.Rent<float>(RowSlot, channels);
        var numbers = scratch.Rent<short>(NumberSlot, shape.Elements);
        for (var token = 0; token < shape.Tokens; token++)
        {
            source.ReadRow(token, row, scratch.Level);
            var (low, high) = Extremes.OfRow(row, scratch.Level);
            var stored = Bf16.FromSingle(MathF.Max(-low, high));
            var largest = Bf16.ToSingle(stored);
            if (!float.IsFinite(largest))
            {
                return NotCoded;
            }

            BinaryPrimitives.WriteUInt16LittleEndian(destination[(token * sizeof(ushort))..], stored);
            for (var channel = 0; channel < channels; channel++)
            {
                var steps = largest == 0 ? 0 : MathF.Round(row[channel] / largest * most);
                numbers[(token * channels) + channel] = (short)MathF.Min(MathF.Max(steps, -most), most);
            }
        }

        var at = shape.Tokens * sizeof(ushort);
        var written = AdaptiveStream.Encode(numbers, channels, destination[at..], scratch);
        return written < 0 ? NotCoded : at + written;
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        var at = shape.Tokens * sizeof(ushort);
        var most = MostStep(shape);
        var channels = shape.Channels;
        var numbers = scratch.Rent<short>(NumberSlot, shape.Elements);
        if (source.Length < at || !FiniteScan.AllFinite(KvElement.BFloat16, source[..at], scratch.Level)
            || !AdaptiveStream.TryDecode(source[at..], channels, numbers, scratch))
        {
            return false;
        }

        var row = scratch.Rent<float>(RowSlot, channels);
        for (var token = 0; token < shape.Tokens; token++)
        {
            var step = Bf16.ToSingle(BinaryPrimitives.ReadUInt16LittleEndian(source[(token * sizeof(ushort))..])) / most;
            for (var channel = 0; channel < channels; channel++)
            {
                row[channel] = numbers[(token * channels) + channel] * step;
            }

            target.WriteRow(token, row, scratch.Level);
        }

        return true;
    }

    /// <summary>Steps on one side of zero.</summary>
    internal float MostStep(in StripShape shape)
    {
        var firstLayers = shape.Kind == PlaneKind.Key ? _parameters[3] : _parameters[4];
        return (_parameters[shape.Layer < firstLayers ? 1 : 2] / 2) - 1;
    }

    private static bool AreBins(int bins) => bins is >= 4 and <= MostBins && bins % 2 == 0;

    private static KvCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.IsEmpty)
        {
            return null;
        }

        if (parameters[0] != Mode)
        {
            return CacheGenDeltaCodec.Read(parameters);
        }

        return parameters.Length == 5 && AreBins(parameters[1]) && AreBins(parameters[2])
            ? new CacheGenCodec(null, parameters[1], parameters[2], parameters[3], parameters[4])
            : null;
    }
}
