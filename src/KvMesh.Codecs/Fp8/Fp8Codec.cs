using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Fp8;

/// <summary>How numbers are brought into the range of the format. Append only: part of the parameters.</summary>
public enum Fp8Scale : byte
{
    /// <summary>As they are: what serving engines store without calibration. Numbers beyond the format become its largest.</summary>
    None = 1,

    /// <summary>The largest of each row becomes the largest of the format, with a bfloat16 scale rounded up.</summary>
    Row = 2,
}

/// <summary>
/// 8-bit floats. A strip is the scales of its rows, if it has any, and then a byte for each element.
/// </summary>
public sealed class Fp8Codec : KvCodec
{
    private const int RowSlot = 0;

    private readonly KvElement _format;
    private readonly Fp8Scale _scale;
    private readonly byte[] _parameters;

    /// <param name="format">E4M3 or E5M2.</param>
    /// <param name="scale">How rows are scaled.</param>
    public Fp8Codec(KvElement format, Fp8Scale scale)
    {
        if (!IsValid(format, scale))
        {
            throw new ArgumentException($"format {format} with scale {scale} is none of E4M3 and E5M2 with a scale per row or none.");
        }

        (_format, _scale) = (format, scale);
        _parameters = [(byte)format, (byte)scale];
        Name = (format == KvElement.Fp8E4M3 ? "fp8-e4m3" : "fp8-e5m2") + (scale == Fp8Scale.Row ? "-row" : "");
    }

    public static CodecFamily Family { get; } = new(
        CodecId.Fp8,
        (version, parameters) => version == 1 && parameters.Length == 2 && IsValid((KvElement)parameters[0], (Fp8Scale)parameters[1])
            ? new Fp8Codec((KvElement)parameters[0], (Fp8Scale)parameters[1])
            : null,
        [
            new Fp8Codec(KvElement.Fp8E4M3, Fp8Scale.None), new Fp8Codec(KvElement.Fp8E4M3, Fp8Scale.Row),
            new Fp8Codec(KvElement.Fp8E5M2, Fp8Scale.None), new Fp8Codec(KvElement.Fp8E5M2, Fp8Scale.Row),
        ]);

    public override CodecId Id => CodecId.Fp8;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    internal KvElement Format => _format;

    internal Fp8Scale Scale => _scale;

    /// <summary>Rotated parts of latents too: 8 bits are what they need.</summary>
    public override bool Codes(in PlaneShape plane) => plane is { Element: not KvElement.Opaque, TailBytes: 0 };

    public override int MaxStripBytes(in StripShape shape) => ScaleBytes(shape) + shape.Elements;

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var row = scratch.Rent<float>(RowSlot, shape.Channels);
        var scales = MemoryMarshal.Cast<byte, ushort>(destination[..ScaleBytes(shape)]);
        var codes = destination[ScaleBytes(shape)..];
        for (var token = 0; token < shape.Tokens; token++)
        {
            source.ReadRow(token, row, scratch.Level);
            if (_scale == Fp8Scale.Row)
            {
                var (least, most) = Extremes.OfRow(row, scratch.Level);
                scales[token] = ScaleOf(MathF.Max(-least, most));
                Scaling.Multiply(row, 1 / Bf16.ToSingle(scales[token]), scratch.Level);
            }

            ElementConversion.FromSingle(_format, row, codes.Slice(token * shape.Channels, shape.Channels), scratch.Level);
        }

        return ScaleBytes(shape) + shape.Elements;
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        if (source.Length != MaxStripBytes(shape))
        {
            return false;
        }

        var row = scratch.Rent<float>(RowSlot, shape.Channels);
        var scales = MemoryMarshal.Cast<byte, ushort>(source[..ScaleBytes(shape)]);
        var codes = source[ScaleBytes(shape)..];
        for (var token = 0; token < shape.Tokens; token++)
        {
            ElementConversion.ToSingle(_format, codes[(token * shape.Channels)..], row, scratch.Level);
            if (_scale == Fp8Scale.Row)
            {
                Scaling.Multiply(row, Bf16.ToSingle(scales[token]), scratch.Level);
            }

            target.WriteRow(token, row, scratch.Level);
        }

        return true;
    }

    private static bool IsValid(KvElement format, Fp8Scale scale) =>
        format is KvElement.Fp8E4M3 or KvElement.Fp8E5M2 && scale is Fp8Scale.None or Fp8Scale.Row;

    /// <summary>Rounded up, so that the largest number does not leave the range; 1 for a row of zeros and for what is too small to be scaled.</summary>
    private ushort ScaleOf(float largest)
    {
        const float LeastScale = 1e-36f;
        const ushort One = 0x3F80;
        var scale = largest / (_format == KvElement.Fp8E4M3 ? E4M3.Max : E5M2.Max);
        return scale < LeastScale ? One : (ushort)((BitConverter.SingleToUInt32Bits(scale) + 0xFFFF) >> 16);
    }

    private int ScaleBytes(in StripShape shape) => _scale == Fp8Scale.Row ? shape.Tokens * sizeof(ushort) : 0;
}
