using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Mixed;

/// <summary>
/// A codec of its own for keys and for values of each layer, because not all are as sensitive: keys want a bit or two more than values, first and
/// last layers more than those between. Parts are codecs that code strips of one head; a part that is lossless makes its layers lossless only.
/// </summary>
public sealed class MixedCodec : KvCodec
{
    /// <summary>Most different codecs of a plan.</summary>
    public const int MostParts = 32;

    private readonly KvCodec[] _parts;
    private readonly byte[] _choices;
    private readonly byte[] _parameters;

    /// <param name="name">Its name among presets; null for one made of its parameters.</param>
    /// <param name="choices">For each layer the codec of its keys and the codec of its values and latents; layers beyond the last take the last.</param>
    /// <exception cref="ArgumentException">There is no layer, or too many, or too many codecs, or one of them joins heads, has refinements or is a plan itself.</exception>
    public MixedCodec(string? name, IReadOnlyList<(KvCodec Keys, KvCodec Values)> choices)
    {
        _parts = [.. choices.SelectMany(choice => new[] { choice.Keys, choice.Values }).Distinct()];
        if (choices.Count is 0 or > KvLayout.MaxLayers || _parts.Length > MostParts || Array.Exists(_parts, part => part.JoinsHeads || part.Refinements > 0 || part is MixedCodec))
        {
            throw new ArgumentException(
                $"a plan of {choices.Count} layers and {_parts.Length} codecs: it must have 1 to {KvLayout.MaxLayers} layers and at most {MostParts} codecs, which code single heads without refinements and are no plans.");
        }

        _choices = [.. choices.SelectMany(choice => new[] { (byte)Array.IndexOf(_parts, choice.Keys), (byte)Array.IndexOf(_parts, choice.Values) })];
        _parameters = Write(_parts, _choices);
        TokenMultiple = Multiple(_parts) ?? throw new ArgumentException($"groups of the codecs come together beyond {KvLayout.MaxBlockTokens} tokens only.");
        IsLossless = Array.TrueForAll(_parts, part => part.IsLossless);
        IsFixedSize = Array.TrueForAll(_parts, part => part.IsFixedSize);
        Name = name ?? $"mixed-{EncodedHeader.HashOf(_parameters):x16}";
        if (_parameters.Length > MaxParameterBytes)
        {
            throw new ArgumentException($"the plan takes {_parameters.Length} bytes; it may take {MaxParameterBytes}.");
        }
    }

    public override CodecId Id => CodecId.Mixed;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override bool IsLossless { get; }

    public override bool IsFixedSize { get; }

    public override int TokenMultiple { get; }

    /// <summary>Whichever layer it is of: layers whose part does not code it keep it as it is.</summary>
    public override bool Codes(in PlaneShape plane)
    {
        foreach (var part in _parts)
        {
            if (part.Codes(plane))
            {
                return true;
            }
        }

        return false;
    }

    public override int MaxStripBytes(in StripShape shape) => Part(shape).MaxStripBytes(shape);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var part = Part(shape);
        return part.Codes(Shape(shape)) ? part.Encode(shape, source, destination, scratch) : NotCoded;
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        var part = Part(shape);
        return part.Codes(Shape(shape)) && part.TryDecode(shape, source, target, scratch);
    }

    /// <summary>The family, whose plans are made of codecs of other families.</summary>
    internal static CodecFamily FamilyOf(IReadOnlyList<CodecFamily> others)
    {
        KvCodec Preset(string name) => others.SelectMany(family => family.Presets).First(codec => codec.Name == name);
        return new CodecFamily(CodecId.Mixed, (version, parameters) => Read(others, version, parameters),
        [
            new MixedCodec("mixed-k8-v4", [(Preset("int8-kc"), Preset("int4-g64"))]),
            new MixedCodec("mixed-k4-v2", [(Preset("kivi4-g64"), Preset("kivi2-g32"))]),
            new MixedCodec("mixed-ecq-k3-v2", [.. Enumerable.Repeat((Preset("ecq-0.34"), Preset("ecq-0.5")), 2), (Preset("ecq-0.5"), Preset("ecq-1"))]),
        ]);
    }

    private static MixedCodec? Read(IReadOnlyList<CodecFamily> others, byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length is < 1 or > MaxParameterBytes || parameters[0] is 0 or > MostParts)
        {
            return null;
        }

        var all = parameters;
        var parts = new KvCodec[parameters[0]];
        parameters = parameters[1..];
        for (var part = 0; part < parts.Length; part++)
        {
            if (parameters.Length < 5 || ReadPart(others, ref parameters) is not { JoinsHeads: false, Refinements: 0 } codec)
            {
                return null;
            }

            parts[part] = codec;
        }

        if (Multiple(parts) is null || parameters.Length == 0 || parameters.Length % 2 != 0 || parameters.Length / 2 > KvLayout.MaxLayers || parameters.ContainsAnyInRange((byte)parts.Length, byte.MaxValue))
        {
            return null;
        }

        var choices = new (KvCodec, KvCodec)[parameters.Length / 2];
        for (var layer = 0; layer < choices.Length; layer++)
        {
            choices[layer] = (parts[parameters[2 * layer]], parts[parameters[(2 * layer) + 1]]);
        }

        // Parts that no layer takes, or in another order, were never written.
        var plan = new MixedCodec(null, choices);
        return plan.Parameters.Span.SequenceEqual(all) ? plan : null;
    }

    private static KvCodec? ReadPart(IReadOnlyList<CodecFamily> others, ref ReadOnlySpan<byte> parameters)
    {
        var id = (CodecId)BinaryPrimitives.ReadUInt16LittleEndian(parameters);
        var version = parameters[2];
        int length = BinaryPrimitives.ReadUInt16LittleEndian(parameters[3..]);
        if (parameters.Length - 5 < length)
        {
            return null;
        }

        var own = parameters.Slice(5, length);
        parameters = parameters[(5 + length)..];
        foreach (var family in others)
        {
            if (family.Id == id)
            {
                return family.Read(version, own);
            }
        }

        return null;
    }

    /// <summary>u8 parts, each u16 id, u8 version, u16 bytes of parameters and those; then for each layer the part of keys and that of values.</summary>
    private static byte[] Write(KvCodec[] parts, byte[] choices)
    {
        var bytes = new List<byte> { (byte)parts.Length };
        foreach (var part in parts)
        {
            var length = part.Parameters.Length;
            bytes.AddRange([(byte)part.Id, (byte)((ushort)part.Id >> 8), part.Version, (byte)length, (byte)(length >> 8)]);
            bytes.AddRange(part.Parameters.Span);
        }

        bytes.AddRange(choices);
        return [.. bytes];
    }

    private static PlaneShape Shape(in StripShape shape) => new(shape.Kind, 1, shape.Channels, shape.Element);

    /// <summary>The least tokens that all groups divide; null when no block has so many.</summary>
    private static int? Multiple(KvCodec[] parts)
    {
        long multiple = 1;
        foreach (var part in parts)
        {
            var (a, b) = (multiple, (long)part.TokenMultiple);
            while (b != 0)
            {
                (a, b) = (b, a % b);
            }

            multiple = multiple / a * part.TokenMultiple;
            if (multiple > KvLayout.MaxBlockTokens)
            {
                return null;
            }
        }

        return (int)multiple;
    }

    private KvCodec Part(in StripShape shape)
    {
        var layer = Math.Min(shape.Layer, (_choices.Length / 2) - 1);
        return _parts[_choices[(2 * layer) + (shape.Kind == PlaneKind.Key ? 0 : 1)]];
    }
}
