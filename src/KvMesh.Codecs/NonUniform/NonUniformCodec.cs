using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.NonUniform;

/// <summary>
/// Levels that lie where numbers do, between the extremes of each channel of keys and of each row of values, with the farthest numbers kept apart,
/// after KVQuant (Hooper et al., 2024). Keys may be coded without their positions. Levels are parameters: those of a model where somebody
/// measured them, levels of normal vectors otherwise.
/// </summary>
public sealed class NonUniformCodec : KvCodec
{
    private const int FixedParameters = 6;

    private readonly LevelTable _keyLevels;
    private readonly LevelTable _valueLevels;
    private readonly byte[] _parameters;

    /// <param name="name">Its name among presets; null for one made of its parameters.</param>
    /// <param name="keyLevels">2, 4, 8 or 16 ascending levels for keys, of -1 to 1.</param>
    /// <param name="valueLevels">As many for values and latents.</param>
    /// <param name="keyOutliers">Share of the numbers of a channel of keys that are kept apart, in parts of 10,000, half of them at each end; at most 2,000.</param>
    /// <param name="valueOutliers">The same of a row of values.</param>
    /// <param name="unrotated">Whether keys are coded without their positions.</param>
    /// <exception cref="ArgumentException">Levels do not ascend or are not as many, or outliers are out of range.</exception>
    public NonUniformCodec(string? name, ReadOnlySpan<float> keyLevels, ReadOnlySpan<float> valueLevels, int keyOutliers, int valueOutliers, bool unrotated)
    {
        if (keyLevels.Length != valueLevels.Length || !Vectors.IsShare(keyOutliers) || !Vectors.IsShare(valueOutliers))
        {
            throw new ArgumentException(
                $"{keyLevels.Length} and {valueLevels.Length} levels, {keyOutliers} and {valueOutliers} outliers: there must be as many levels, and 0 to {Vectors.MostOutliers} outliers in 10,000.");
        }

        _keyLevels = new LevelTable(keyLevels);
        _valueLevels = new LevelTable(valueLevels);
        (KeyOutliers, ValueOutliers, IsUnrotated) = (keyOutliers, valueOutliers, unrotated);
        _parameters = new byte[FixedParameters + (2 * keyLevels.Length * sizeof(float))];
        _parameters[0] = (byte)Bits;
        _parameters[1] = unrotated ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt16LittleEndian(_parameters.AsSpan(2), (ushort)keyOutliers);
        BinaryPrimitives.WriteUInt16LittleEndian(_parameters.AsSpan(4), (ushort)valueOutliers);
        MemoryMarshal.AsBytes(keyLevels).CopyTo(_parameters.AsSpan(FixedParameters));
        MemoryMarshal.AsBytes(valueLevels).CopyTo(_parameters.AsSpan(FixedParameters + (keyLevels.Length * sizeof(float))));
        Name = name ?? $"nuq{Bits}-{EncodedHeader.HashOf(_parameters):x16}";
    }

    public static CodecFamily Family { get; } = new(CodecId.NonUniform, Read,
        [.. new[] { 2, 3, 4 }.SelectMany(bits => new[] { Preset(bits, hasOutliers: false), Preset(bits, hasOutliers: true) })]);

    public override CodecId Id => CodecId.NonUniform;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    internal int Bits => _keyLevels.Bits;

    internal int KeyOutliers { get; }

    internal int ValueOutliers { get; }

    internal bool IsUnrotated { get; }

    internal ReadOnlySpan<float> Levels(PlaneKind kind) => (kind == PlaneKind.Key ? _keyLevels : _valueLevels).Levels;

    public override int MaxStripBytes(in StripShape shape) => Vectors.Of(shape, KeyOutliers, ValueOutliers).Bytes + (shape.Elements * Bits / 8);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch) =>
        NonUniformStrip.Encode(Settings(shape), shape, source, destination, scratch) ? MaxStripBytes(shape) : NotCoded;

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch) =>
        source.Length == MaxStripBytes(shape) && NonUniformStrip.TryDecode(Settings(shape), shape, source, target, scratch);

    private NonUniformSettings Settings(in StripShape shape) => new(
        shape.Kind == PlaneKind.Key ? _keyLevels : _valueLevels, Vectors.Of(shape, KeyOutliers, ValueOutliers), IsUnrotated && KeyTurning.Applies(shape));

    // Outliers of one in a hundred on keys without positions, as published; without outliers on keys as they are.
    private static NonUniformCodec Preset(int bits, bool hasOutliers) => new(
        $"nuq{bits}-{(hasOutliers ? "1pct" : "post")}", NonUniformLevels.Keys(bits, hasOutliers), NonUniformLevels.Values(bits, hasOutliers),
        hasOutliers ? 100 : 0, hasOutliers ? 156 : 0, unrotated: hasOutliers);

    private static NonUniformCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length < FixedParameters || parameters[0] is < 1 or > 4 || parameters[1] > 1
            || parameters.Length != FixedParameters + (2 * sizeof(float) << parameters[0]))
        {
            return null;
        }

        var levels = MemoryMarshal.Cast<byte, float>(parameters[FixedParameters..]);
        var keys = levels[..(1 << parameters[0])];
        var values = levels[keys.Length..];
        var keyOutliers = BinaryPrimitives.ReadUInt16LittleEndian(parameters[2..]);
        var valueOutliers = BinaryPrimitives.ReadUInt16LittleEndian(parameters[4..]);
        return LevelTable.AreValid(keys) && LevelTable.AreValid(values) && Vectors.IsShare(keyOutliers) && Vectors.IsShare(valueOutliers)
            ? new NonUniformCodec(null, keys, values, keyOutliers, valueOutliers, parameters[1] == 1)
            : null;
    }
}

/// <summary>The vectors of a strip that have extremes of their own: channels of keys, rows of values.</summary>
/// <param name="Count">How many.</param>
/// <param name="Length">Numbers of each.</param>
/// <param name="Apart">Numbers kept apart at each end of each.</param>
/// <param name="AreChannels">Whether they are channels.</param>
internal readonly record struct Vectors(int Count, int Length, int Apart, bool AreChannels)
{
    /// <summary>Most numbers kept apart, in 10,000.</summary>
    public const int MostOutliers = 2000;

    private const int Whole = 10_000;

    /// <summary>Bytes of an outlier's place.</summary>
    public int PlaceBytes => Length <= 256 ? 1 : 2;

    public int OutlierCount => 2 * Apart * Count;

    /// <summary>Middles, halves of ranges, places and values of outliers.</summary>
    public int Bytes => (2 * Count * sizeof(ushort)) + (OutlierCount * (PlaceBytes + sizeof(ushort)));

    public static bool IsShare(int outliers) => outliers is >= 0 and <= MostOutliers;

    public static Vectors Of(in StripShape shape, int keyOutliers, int valueOutliers)
    {
        var areChannels = shape.Kind == PlaneKind.Key;
        var (count, length) = areChannels ? (shape.Channels, shape.Tokens) : (shape.Tokens, shape.Channels);
        var apart = ((length * (areChannels ? keyOutliers : valueOutliers)) + Whole) / (2 * Whole);
        return new Vectors(count, length, Math.Min(apart, (length - 1) / 2), areChannels);
    }
}

/// <summary>How one strip is coded.</summary>
internal readonly record struct NonUniformSettings(LevelTable Levels, Vectors Vectors, bool IsUnrotated);
