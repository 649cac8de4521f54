using System.Buffers.Binary;
using System.Globalization;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;

namespace KvMesh.Codecs.EntropyCoded;

/// <summary>
/// ECQ in layers: coarse steps that decode alone, and refinements each of which parts every step in three. After each of them a block is what
/// <see cref="EcqCodec"/> makes of it with steps a third as wide, so that one stored object serves every speed of a network. A refinement is coded
/// with the law of thirds of a step, which depends on how far from the middle the step lies.
/// </summary>
public sealed class ProgressiveCodec : KvCodec
{
    /// <summary>Numbers of a channel lie within the root of the tokens of its spread: steps from here on never leave the symbols, whatever the block.</summary>
    internal const float LeastStep = 1.5f;

    internal const float MostStep = 8;

    private const int ParameterBytes = 5;

    private readonly byte[] _parameters = new byte[ParameterBytes];
    private readonly ProgressiveTables _tables;

    /// <param name="step">Step of the base in spreads of a channel, 1.5 to 8.</param>
    /// <param name="refinements">How often steps are parted in three, 1 to <see cref="KvCodec.MaxRefinements"/>.</param>
    public ProgressiveCodec(float step, int refinements)
    {
        if (!IsValid(step, refinements))
        {
            throw new ArgumentException($"a step of {step} spreads with {refinements} refinements: it must be from {LeastStep} to {MostStep}, with 1 to {MaxRefinements}.");
        }

        _tables = new ProgressiveTables(step, refinements);
        Refinements = refinements;
        Name = "ecq" + string.Concat(_tables.Steps.Select(one => string.Create(CultureInfo.InvariantCulture, $"-{one:0.###}")));
        _parameters[0] = (byte)refinements;
        BinaryPrimitives.WriteSingleLittleEndian(_parameters.AsSpan(1), step);
    }

    public static CodecFamily Family { get; } = new(CodecId.ProgressiveEntropyCoded, Read, [new ProgressiveCodec(1.53f, 2), new ProgressiveCodec(3.06f, 2)]);

    public override CodecId Id => CodecId.ProgressiveEntropyCoded;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override bool IsFixedSize => false;

    public override int Refinements { get; }

    /// <summary>Steps of the base and after each refinement, in spreads.</summary>
    internal IReadOnlyList<float> Steps => _tables.Steps;

    public override int MaxStripBytes(in StripShape shape) => ProgressiveStrip.MaxBytes(shape, Refinements);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch) =>
        ProgressiveStrip.Encode(_tables, shape, source, destination, scratch);

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch) =>
        ProgressiveStrip.TryDecode(_tables, shape, source, Refinements, target, scratch);

    internal override bool TryDecodeRefined(in StripShape shape, ReadOnlySpan<byte> source, int refinements, in StripTarget target, CodecScratch scratch) =>
        ProgressiveStrip.TryDecode(_tables, shape, source, refinements, target, scratch);

    internal override void MeasureRefinements(ReadOnlySpan<byte> strip, Span<int> parts) => ProgressiveStrip.Measure(strip, parts);

    private static ProgressiveCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length != ParameterBytes)
        {
            return null;
        }

        var step = BinaryPrimitives.ReadSingleLittleEndian(parameters[1..]);
        return IsValid(step, parameters[0]) ? new ProgressiveCodec(step, parameters[0]) : null;
    }

    private static bool IsValid(float step, int refinements) => step is >= LeastStep and <= MostStep && refinements is >= 1 and <= MaxRefinements;
}

/// <summary>Steps of a base and its refinements, and the laws that they follow.</summary>
internal sealed class ProgressiveTables
{
    /// <summary>Parts that a refinement makes of a step.</summary>
    public const int Parts = 3;

    /// <summary>Contexts of a refinement: how many steps from the middle; the last for all that are farther.</summary>
    public const int Contexts = 12;

    private const int Weight = 1_000_000;

    public ProgressiveTables(float step, int refinements)
    {
        Base = NormalFrequencies.Make(step);
        var steps = new float[refinements + 1];
        steps[0] = step;
        Refinements = new ContextTables[refinements];
        for (var refinement = 0; refinement < refinements; refinement++)
        {
            steps[refinement + 1] = steps[refinement] / Parts;
            var finer = steps[refinement + 1];
            Refinements[refinement] = new ContextTables([.. Enumerable.Range(0, Contexts).Select(context => Thirds(context, finer))]);
        }

        Steps = steps;
    }

    /// <summary>Frequencies of the steps of the base.</summary>
    public ushort[] Base { get; }

    /// <summary>Frequencies of the thirds of a step, by its distance from the middle; of steps below the middle mirrored.</summary>
    public ContextTables[] Refinements { get; }

    public float[] Steps { get; }

    private static ushort[] Thirds(int context, float finer)
    {
        Span<double> weights = stackalloc double[Parts];
        double sum = 0;
        for (var third = 0; third < Parts; third++)
        {
            weights[third] = NormalFrequencies.Density(((Parts * context) + third - 1) * (double)finer);
            sum += weights[third];
        }

        var counts = new int[SymbolFrequencies.SymbolCount];
        for (var third = 0; third < Parts; third++)
        {
            counts[third] = 1 + (int)(weights[third] / sum * Weight);
        }

        var table = new ushort[SymbolFrequencies.SymbolCount];
        SymbolFrequencies.Normalise(counts, table);
        return table;
    }
}
