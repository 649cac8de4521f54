using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.CacheGen;

/// <summary>
/// Every tenth token with eight bits, and the others as their distance from it in even steps of the strip's own spread, entropy coded by channel: what
/// CacheGen describes (Liu et al., 2024). Graded, steps of the second third of a model's layers are half as wide again and those of the last twice as
/// wide. A strip is the spread as a single, for each anchor its scale as a half and its codes, and an <see cref="AdaptiveStream"/> of the others.
/// </summary>
public sealed class CacheGenDeltaCodec : KvCodec
{
    internal const int AnchorTokens = 10;
    internal const int AnchorSteps = 127;

    private const int RowsSlot = AdaptiveStream.SlotsUsed;
    private const int NumberSlot = RowsSlot + 1;
    private const int AnchorSlot = RowsSlot + 2;
    private const int ParameterBytes = 6;
    private const byte Mode = 2;
    private const float LeastStep = 0.05f;
    private const float MostStep = 8;

    private readonly byte[] _parameters = new byte[ParameterBytes];
    private readonly float _step;
    private readonly bool _isGraded;

    /// <param name="step">Step in spreads of a strip's distances, 0.05 to 8.</param>
    /// <param name="isGraded">Whether later layers have wider steps.</param>
    public CacheGenDeltaCodec(float step, bool isGraded = false)
    {
        if (!IsStep(step))
        {
            throw new ArgumentException($"a step of {step} spreads: it must be from {LeastStep} to {MostStep}.", nameof(step));
        }

        (_step, _isGraded) = (step, isGraded);
        Name = string.Create(CultureInfo.InvariantCulture, $"cachegen-delta-{step}{(isGraded ? "-graded" : "")}");
        _parameters[0] = Mode;
        _parameters[1] = isGraded ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteSingleLittleEndian(_parameters.AsSpan(2), step);
    }

    public override CodecId Id => CodecId.CacheGen;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override bool IsFixedSize => false;

    public override int MaxStripBytes(in StripShape shape) => sizeof(float) + AnchorBytes(shape) + AdaptiveStream.MaxBytes(Others(shape) * shape.Channels);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        var spread = SpreadOf(rows, channels);
        BinaryPrimitives.WriteSingleLittleEndian(destination, spread);
        if (!float.IsFinite(spread))
        {
            return NotCoded;
        }

        var step = spread * StepOf(shape);
        var anchor = scratch.Rent<float>(AnchorSlot, channels);
        var numbers = scratch.Rent<short>(NumberSlot, Others(shape) * channels);
        var others = numbers;
        for (var token = 0; token < shape.Tokens; token++)
        {
            var row = rows.Slice(token * channels, channels);
            if (token % AnchorTokens == 0)
            {
                var stored = destination[(sizeof(float) + (token / AnchorTokens * OneAnchor(channels)))..];
                if (!WriteAnchor(row, stored, scratch.Level) || !TryReadAnchor(stored, anchor))
                {
                    return NotCoded;
                }

                continue;
            }

            Divide(row, anchor, step, others[..channels]);
            others = others[channels..];
        }

        var at = sizeof(float) + AnchorBytes(shape);
        var written = AdaptiveStream.Encode(numbers, channels, destination[at..], scratch);
        return written < 0 ? NotCoded : at + written;
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        var channels = shape.Channels;
        var at = sizeof(float) + AnchorBytes(shape);
        var numbers = scratch.Rent<short>(NumberSlot, Others(shape) * channels);
        if (source.Length < at || !float.IsFinite(BinaryPrimitives.ReadSingleLittleEndian(source)) || !AdaptiveStream.TryDecode(source[at..], channels, numbers, scratch))
        {
            return false;
        }

        var step = BinaryPrimitives.ReadSingleLittleEndian(source) * StepOf(shape);
        var anchor = scratch.Rent<float>(AnchorSlot, channels);
        var row = scratch.Rent<float>(RowsSlot, channels);
        for (var token = 0; token < shape.Tokens; token++)
        {
            if (token % AnchorTokens == 0)
            {
                if (!TryReadAnchor(source[(sizeof(float) + (token / AnchorTokens * OneAnchor(channels)))..], anchor))
                {
                    return false;
                }

                target.WriteRow(token, anchor, scratch.Level);
                continue;
            }

            for (var channel = 0; channel < channels; channel++)
            {
                row[channel] = anchor[channel] + (numbers[channel] * step);
            }

            target.WriteRow(token, row, scratch.Level);
            numbers = numbers[channels..];
        }

        return true;
    }

    internal static CacheGenDeltaCodec? Read(ReadOnlySpan<byte> parameters)
    {
        if (parameters.Length != ParameterBytes || parameters[0] != Mode || parameters[1] > 1)
        {
            return null;
        }

        var step = BinaryPrimitives.ReadSingleLittleEndian(parameters[2..]);
        return IsStep(step) ? new CacheGenDeltaCodec(step, parameters[1] == 1) : null;
    }

    /// <summary>The root of the mean square distance of tokens from the anchor before them.</summary>
    internal static float SpreadOf(ReadOnlySpan<float> rows, int channels)
    {
        double sum = 0;
        var count = 0;
        for (var first = 0; first < rows.Length; first += channels)
        {
            var anchor = rows.Slice(first / channels / AnchorTokens * AnchorTokens * channels, channels);
            if (first / channels % AnchorTokens == 0)
            {
                continue;
            }

            for (var channel = 0; channel < channels; channel++)
            {
                var distance = (double)rows[first + channel] - anchor[channel];
                sum += distance * distance;
            }

            count += channels;
        }

        return count == 0 ? 0 : (float)Math.Sqrt(sum / count);
    }

    internal float StepOf(in StripShape shape) => !_isGraded ? _step : _step * ((3 * shape.Layer / shape.Layout.Layers.Length) switch { 0 => 1, 1 => 1.5f, _ => 2 });

    private static bool IsStep(float step) => step is >= LeastStep and <= MostStep;

    private static int Anchors(in StripShape shape) => (shape.Tokens + AnchorTokens - 1) / AnchorTokens;

    private static int Others(in StripShape shape) => shape.Tokens - Anchors(shape);

    private static int OneAnchor(int channels) => sizeof(ushort) + channels;

    private static int AnchorBytes(in StripShape shape) => Anchors(shape) * OneAnchor(shape.Channels);

    /// <summary>False when a half cannot say the scale.</summary>
    private static bool WriteAnchor(ReadOnlySpan<float> row, Span<byte> destination, SimdLevel level)
    {
        var (low, high) = Extremes.OfRow(row, level);
        var stored = Fp16.FromSingle(MathF.Max(-low, high) / AnchorSteps);
        var scale = Fp16.ToSingle(stored);
        BinaryPrimitives.WriteUInt16LittleEndian(destination, stored);
        for (var channel = 0; channel < row.Length; channel++)
        {
            var steps = scale == 0 ? 0 : MathF.Round(row[channel] / scale);
            destination[sizeof(ushort) + channel] = (byte)(sbyte)MathF.Min(MathF.Max(steps, -AnchorSteps), AnchorSteps);
        }

        return float.IsFinite(scale);
    }

    private static bool TryReadAnchor(ReadOnlySpan<byte> source, Span<float> anchor)
    {
        var scale = Fp16.ToSingle(BinaryPrimitives.ReadUInt16LittleEndian(source));
        var codes = MemoryMarshal.Cast<byte, sbyte>(source.Slice(sizeof(ushort), anchor.Length));
        for (var channel = 0; channel < anchor.Length; channel++)
        {
            anchor[channel] = codes[channel] * scale;
        }

        return float.IsFinite(scale);
    }

    private static void Divide(ReadOnlySpan<float> row, ReadOnlySpan<float> anchor, float step, Span<short> numbers)
    {
        for (var channel = 0; channel < row.Length; channel++)
        {
            var steps = step == 0 ? 0 : MathF.Round((row[channel] - anchor[channel]) / step);
            numbers[channel] = (short)MathF.Min(MathF.Max(steps, short.MinValue), short.MaxValue);
        }
    }
}
