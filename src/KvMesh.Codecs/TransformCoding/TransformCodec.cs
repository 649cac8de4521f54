using System.Buffers.Binary;
using System.Globalization;
using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Blocks;

namespace KvMesh.Codecs.TransformCoding;

/// <summary>
/// Rows in the principal axes of their head, axes with as many bits as they are worth, entropy coded, after KVTC (NVIDIA, 2025), for each head alone.
/// Axes are the model's (<see cref="ModelBases"/>); which of them get bits is decided for each strip, so that axes that fit it badly cost bytes and no
/// quality. Keys lose their positions before.
/// </summary>
public sealed class TransformCodec : KvCodec
{
    /// <summary>Parts of a bit that a budget is given in.</summary>
    internal const int BudgetUnit = 16;

    private const int ParameterCount = ModelBases.HashBytes + sizeof(ushort);
    private const float MostBits = 5;

    private readonly ModelBases _bases;
    private readonly int _budget;
    private readonly byte[] _parameters = new byte[ParameterCount];

    /// <param name="bases">Of the model; who decodes needs the same.</param>
    /// <param name="bits">Bits of a number that are shared out, 0.25 to 5 in steps of a sixteenth; a strip takes as many and a little.</param>
    public TransformCodec(ModelBases bases, float bits)
    {
        if (!(bits is >= 0.25f and <= MostBits) || bits * BudgetUnit != MathF.Round(bits * BudgetUnit))
        {
            throw new ArgumentException($"{bits} bits: they must be from 0.25 to {MostBits} in steps of 1 ÷ {BudgetUnit}.", nameof(bits));
        }

        _bases = bases;
        _budget = (int)(bits * BudgetUnit);
        Name = string.Create(CultureInfo.InvariantCulture, $"kvtc-{bits}");
        bases.Hash.CopyTo(_parameters);
        BinaryPrimitives.WriteUInt16LittleEndian(_parameters.AsSpan(ModelBases.HashBytes), (ushort)_budget);
    }

    public override CodecId Id => CodecId.TransformCoding;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override bool IsFixedSize => false;

    public override int MaxStripBytes(in StripShape shape) => TransformStrip.MaxBytes(shape);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch) =>
        Basis(shape) is { } basis ? TransformStrip.Encode(basis, _budget, shape, source, destination, scratch) : NotCoded;

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch) =>
        Basis(shape) is { } basis && TransformStrip.TryDecode(basis, shape, source, target, scratch);

    /// <summary>The family for models whose bases are here. With one model its presets are that model's; names say nothing of others.</summary>
    public static CodecFamily FamilyOf(IReadOnlyList<ModelBases> models) => new(
        CodecId.TransformCoding, (version, parameters) => Read(models, version, parameters),
        models.Count == 1 ? [new TransformCodec(models[0], 2), new TransformCodec(models[0], 3)] : []);

    private static TransformCodec? Read(IReadOnlyList<ModelBases> models, byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length != ParameterCount)
        {
            return null;
        }

        var bits = BinaryPrimitives.ReadUInt16LittleEndian(parameters[ModelBases.HashBytes..]) / (float)BudgetUnit;
        foreach (var bases in models)
        {
            if (bits is >= 0.25f and <= MostBits && bases.Hash.SequenceEqual(parameters[..ModelBases.HashBytes]))
            {
                return new TransformCodec(bases, bits);
            }
        }

        return null;
    }

    private HeadBasis? Basis(in StripShape shape) =>
        shape.Channels % TransformStrip.RunLength == 0 ? _bases.Find(new BasisKey(shape.Layer, shape.Kind, shape.Head, shape.Channels)) : null;
}
