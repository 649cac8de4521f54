using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Measures what a codec loses on a block: keys and values of some heads against what they decode to, and outputs of attention with queries
/// made from the keys themselves, since a store sees none of the model's.
/// </summary>
internal static class ErrorProbe
{
    public static MeasuredError Measure(
        KvCodec codec, BlockGeometry geometry, ReadOnlySpan<byte> block, ReadOnlySpan<byte> encoded, int probedHeads, CodecScratch scratch)
    {
        if (EncodedBlock.TryOpen(encoded, out var opened) != DecodeResult.Ok)
        {
            throw new InvalidOperationException($"{codec.Name} wrote a block that does not open.");
        }

        var total = 0;
        foreach (ref readonly var plane in geometry.Planes.AsSpan())
        {
            total += IsProbed(plane) ? plane.HeadCount : 0;
        }

        var wanted = Math.Min(total, probedHeads);
        var sums = default(ErrorSums);
        var (seen, taken) = (0, 0);
        for (var index = 0; index < geometry.Planes.Length; index++)
        {
            var plane = geometry.Planes[index];
            for (var head = 0; IsProbed(plane) && head < plane.HeadCount; head++, seen++)
            {
                // Evenly over the block: the next one is due when its share of what was seen is reached.
                if (seen * (long)wanted >= taken * (long)total && taken < wanted)
                {
                    taken++;
                    Probe(codec, geometry, block, opened, index, head, scratch, ref sums);
                }
            }
        }

        return sums.Result;
    }

    /// <summary>Keys, and what has no keys beside it: values come with their keys.</summary>
    private static bool IsProbed(in PlaneGeometry plane) =>
        plane.Shape.TailBytes == 0 && plane.Shape.Element != KvElement.Opaque && plane.Shape.Kind is PlaneKind.Key or PlaneKind.Latent;

    private static void Probe(
        KvCodec codec, BlockGeometry geometry, ReadOnlySpan<byte> block, in EncodedBlock opened, int planeIndex, int head, CodecScratch scratch, ref ErrorSums sums)
    {
        var plane = geometry.Planes[planeIndex];
        var tokens = geometry.Region.TokenCount;
        var keys = Read(geometry, block, plane, head, FrameSlot.ProbeKeys, scratch);
        var decodedKeys = Decode(codec, geometry, opened, planeIndex, head, FrameSlot.ProbeDecodedKeys, scratch);
        if (plane.Shape.Kind == PlaneKind.Latent)
        {
            sums.AddValues(keys, decodedKeys);
            return;
        }

        sums.AddKeys(keys, decodedKeys);
        var valueIndex = geometry.IndexOf(plane.Layer, PlaneKind.Value);
        if (valueIndex < 0 || geometry.Planes[valueIndex].HeadCount != plane.HeadCount)
        {
            return;
        }

        var valuePlane = geometry.Planes[valueIndex];
        var values = Read(geometry, block, valuePlane, head, FrameSlot.ProbeValues, scratch);
        var decodedValues = Decode(codec, geometry, opened, valueIndex, head, FrameSlot.ProbeDecodedValues, scratch);
        sums.AddValues(values, decodedValues);

        var channels = plane.Shape.Channels;
        var seed = ((uint)plane.Layer << 16) | (uint)(plane.FirstHead + head);
        var work = scratch.Rent<float>(FrameSlot.ProbeWork, ProbeAttention.WorkLength(tokens, channels, valuePlane.Shape.Channels));
        ProbeAttention.Compare(keys, values, decodedKeys, decodedValues, tokens, channels, seed, work, ref sums);
    }

    private static Span<float> Read(BlockGeometry geometry, ReadOnlySpan<byte> block, in PlaneGeometry plane, int head, FrameSlot slot, CodecScratch scratch)
    {
        var channels = plane.Shape.Channels;
        var rows = scratch.Rent<float>(slot, geometry.Region.TokenCount * channels);
        for (var token = 0; token < geometry.Region.TokenCount; token++)
        {
            ElementConversion.ToSingle(
                plane.Shape.Element, block.Slice(plane.RowOffset(head, token), plane.Shape.RowBytes), rows.Slice(token * channels, channels), scratch.Level);
        }

        return rows;
    }

    private static Span<float> Decode(KvCodec codec, BlockGeometry geometry, in EncodedBlock opened, int planeIndex, int head, FrameSlot slot, CodecScratch scratch)
    {
        var plane = geometry.Planes[planeIndex];
        var channels = plane.Shape.Channels;
        var rows = scratch.Rent<float>(slot, geometry.Region.TokenCount * channels);
        var index = opened.IndexOf(plane.Layer, plane.Shape.Kind);
        var strips = new PlaneStrips(codec, geometry, planeIndex, opened.Header.FirstPosition, opened.Header.KeptBytes > 0);
        var strip = strips.Joined ? 0 : head;
        var shape = strips.Shape(strip);
        var raw = strips.IsCoded ? opened.Header.Raw : new RawTokens(0, shape.Tokens);
        var bytes = scratch.Rent(FrameSlot.Target, shape.Bytes);
        if (RefinedSection.TryRead(opened, index, out var section) != DecodeResult.Ok
            || !StripFrame.TryDecode(codec, shape, raw, section.Entry(strip), section.Strip(strip, scratch), bytes, shape.RowBytes, scratch))
        {
            throw new InvalidOperationException($"{codec.Name} cannot read what it wrote for layer {shape.Layer}, {shape.Kind} of head {shape.Head}.");
        }

        var offset = strips.Joined ? head * plane.Shape.RowBytes : 0;
        for (var token = 0; token < shape.Tokens; token++)
        {
            ElementConversion.ToSingle(
                plane.Shape.Element, bytes.Slice((token * shape.RowBytes) + offset, plane.Shape.RowBytes), rows.Slice(token * channels, channels), scratch.Level);
        }

        return rows;
    }
}

/// <summary>Running sums of a measurement.</summary>
internal struct ErrorSums
{
    private double _keys;
    private double _keyErrors;
    private double _values;
    private double _valueErrors;
    private double _outputs;
    private int _queries;

    public readonly MeasuredError Result => new(Ratio(_keyErrors, _keys), Ratio(_valueErrors, _values), Outputs);

    /// <summary>Without queries nothing was measured. Outputs that are no numbers were, and are as wrong as can be.</summary>
    private readonly float Outputs => _queries == 0 ? float.NaN : double.IsNaN(_outputs) ? float.PositiveInfinity : (float)(_outputs / _queries);

    public void AddKeys(ReadOnlySpan<float> original, ReadOnlySpan<float> decoded) => Add(original, decoded, ref _keys, ref _keyErrors);

    public void AddValues(ReadOnlySpan<float> original, ReadOnlySpan<float> decoded) => Add(original, decoded, ref _values, ref _valueErrors);

    public void AddOutput(double relativeError)
    {
        _outputs += relativeError;
        _queries++;
    }

    private static void Add(ReadOnlySpan<float> original, ReadOnlySpan<float> decoded, ref double squares, ref double errors)
    {
        var (own, wrong) = ProbeSums.Compare(original, decoded);
        squares += own;
        errors += wrong;
    }

    // Zeros that come back as zeros are no error, and anything else in their place has no measure.
    private static float Ratio(double errors, double squares) => squares == 0 ? errors == 0 ? 0 : float.NaN : (float)Math.Sqrt(errors / squares);
}
