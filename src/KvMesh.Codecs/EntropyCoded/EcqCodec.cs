using System.Buffers.Binary;
using System.Globalization;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.EntropyCoded;

/// <summary>
/// Entropy-coded quantiser (ECQ), a design of this project: keys less their channel's mean, values as they are, in even steps of a share of their
/// channel's spread. All channels then follow one law, so that one table does for all of them and side information is two halves a channel. The
/// share is the quality: half of it is a bit more. For far tiers: the best error for its bytes, at the speed of the entropy coder.
/// </summary>
public sealed class EcqCodec : KvCodec
{
    private const int ParameterBytes = 9;
    private const float LeastStep = 0.05f;
    private const float MostStep = 8;

    private readonly byte[] _parameters = new byte[ParameterBytes];
    private readonly ushort[] _keyTable;
    private readonly ushort[] _valueTable;

    /// <param name="keyStep">Step of keys in spreads of their channel, 0.05 to 8.</param>
    /// <param name="valueStep">Step of values and latents.</param>
    /// <param name="unrotated">Whether keys are coded without their positions.</param>
    public EcqCodec(float keyStep, float valueStep, bool unrotated = false)
    {
        if (!IsStep(keyStep) || !IsStep(valueStep))
        {
            throw new ArgumentException($"steps of {keyStep} and {valueStep} spreads: they must be from {LeastStep} to {MostStep}.");
        }

        KeyStep = keyStep;
        ValueStep = valueStep;
        IsUnrotated = unrotated;
        _keyTable = NormalFrequencies.Make(keyStep);
        _valueTable = NormalFrequencies.Make(valueStep);
        Name = string.Create(CultureInfo.InvariantCulture, $"ecq-{keyStep}{(keyStep == valueStep ? "" : $"-v{valueStep}")}{(unrotated ? "-unrotated" : "")}");
        _parameters[0] = unrotated ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteSingleLittleEndian(_parameters.AsSpan(1), keyStep);
        BinaryPrimitives.WriteSingleLittleEndian(_parameters.AsSpan(5), valueStep);
    }

    public static CodecFamily Family { get; } = new(CodecId.EntropyCoded, Read,
    [
        .. new[] { 0.17f, 0.34f, 0.5f, 0.7f, 1f, 1.4f }.SelectMany(step => new[] { new EcqCodec(step, step), new EcqCodec(step, step, unrotated: true) }),
    ]);

    public override CodecId Id => CodecId.EntropyCoded;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override bool IsFixedSize => false;

    internal float KeyStep { get; }

    internal float ValueStep { get; }

    internal bool IsUnrotated { get; }

    public override int MaxStripBytes(in StripShape shape) => EcqStrip.MaxBytes(shape);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch) =>
        EcqStrip.Encode(Settings(shape), shape, source, destination, scratch);

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch) =>
        EcqStrip.TryDecode(Settings(shape), shape, source, target, scratch);

    private EcqSettings Settings(in StripShape shape) => shape.Kind == PlaneKind.Key
        ? new EcqSettings(KeyStep, _keyTable, IsCentred: true, IsUnrotated && KeyTurning.Applies(shape))
        : new EcqSettings(ValueStep, _valueTable, IsCentred: false, IsUnrotated: false);

    private static EcqCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length != ParameterBytes || parameters[0] > 1)
        {
            return null;
        }

        var (key, value) = (BinaryPrimitives.ReadSingleLittleEndian(parameters[1..]), BinaryPrimitives.ReadSingleLittleEndian(parameters[5..]));
        return IsStep(key) && IsStep(value) ? new EcqCodec(key, value, parameters[0] == 1) : null;
    }

    private static bool IsStep(float step) => step is >= LeastStep and <= MostStep;
}

/// <summary>How one strip is coded.</summary>
/// <param name="Step">Step in spreads of a channel.</param>
/// <param name="Table">Frequencies of normal numbers in such steps.</param>
/// <param name="IsCentred">Whether steps begin at the channel's mean, or at zero.</param>
/// <param name="IsUnrotated">Whether the strip is coded without positions.</param>
internal readonly record struct EcqSettings(float Step, ushort[] Table, bool IsCentred, bool IsUnrotated);
