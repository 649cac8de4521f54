using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Kivi;

/// <summary>
/// Keys in groups of tokens per channel, values and latents in groups of channels per token, after KIVI (Liu et al., 2024): channels of keys
/// have offsets of their own, which groups along a channel take out. Every full group is coded; the frame keeps what is left raw.
/// </summary>
public sealed class KiviCodec : KvCodec
{
    private const int RowSlot = GroupQuantizer.SlotsUsed;
    private const byte Unrotated = 1;

    private readonly UniformGrid _keys;
    private readonly UniformGrid _values;
    private readonly byte[] _parameters;

    /// <param name="keyBits">Bits of a key's code: 2, 4 or 8.</param>
    /// <param name="valueBits">Bits of a value's code: 2, 4 or 8.</param>
    /// <param name="group">Tokens of a group of keys, and channels of a group of values: 8 to 2,040, a multiple of 8.</param>
    /// <param name="unrotated">Whether keys are coded without their positions: somewhat less error, and slower.</param>
    public KiviCodec(int keyBits, int valueBits, int group, bool unrotated = false)
    {
        _keys = new UniformGrid(GroupAxis.Channel, keyBits, group, false);
        _values = new UniformGrid(GroupAxis.Token, valueBits, group, false);
        if (!_keys.IsValid || !_values.IsValid || group == 0)
        {
            throw new ArgumentException($"{keyBits} and {valueBits} bits in groups of {group}: bits must be 2, 4 or 8, groups multiples of 8 from 8 to {UniformGrid.MaxGroup}.");
        }

        IsUnrotated = unrotated;
        Name = (keyBits == valueBits ? $"kivi{keyBits}-g{group}" : $"kivi{keyBits}-v{valueBits}-g{group}") + (unrotated ? "-unrotated" : "");
        _parameters = unrotated
            ? [(byte)keyBits, (byte)valueBits, (byte)group, (byte)(group >> 8), Unrotated]
            : [(byte)keyBits, (byte)valueBits, (byte)group, (byte)(group >> 8)];
    }

    public static CodecFamily Family { get; } = new(CodecId.Kivi, Read,
    [
        new KiviCodec(4, 4, 32), new KiviCodec(4, 4, 64), new KiviCodec(4, 4, 128),
        new KiviCodec(4, 2, 32), new KiviCodec(2, 2, 32), new KiviCodec(2, 2, 64),
        new KiviCodec(4, 4, 64, unrotated: true), new KiviCodec(2, 2, 32, unrotated: true),
    ]);

    public override CodecId Id => CodecId.Kivi;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override int TokenMultiple => _keys.Group;

    internal UniformGrid Grid(PlaneKind kind) => kind == PlaneKind.Key ? _keys : _values;

    public override int MaxStripBytes(in StripShape shape) => Grid(shape.Kind).StripBytes(shape);

    internal bool IsUnrotated { get; }

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        if (!IsUnrotated || !KeyTurning.Applies(shape))
        {
            return GroupQuantizer.Encode(Grid(shape.Kind), shape, source, destination, scratch);
        }

        var rows = scratch.Rent<float>(RowSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        KeyTurning.TurnBack(shape, rows, scratch);
        return GroupQuantizer.EncodeRows(_keys, shape, rows, destination, scratch);
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        if (!IsUnrotated || !KeyTurning.Applies(shape))
        {
            return GroupQuantizer.TryDecode(Grid(shape.Kind), shape, source, target, scratch);
        }

        var rows = scratch.Rent<float>(RowSlot, shape.Elements);
        if (!GroupQuantizer.TryDecodeRows(_keys, shape, source, rows, scratch))
        {
            return false;
        }

        KeyTurning.TurnForth(shape, rows, scratch);
        target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        return true;
    }

    private static KiviCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length is not (4 or 5) || (parameters.Length == 5 && parameters[4] != Unrotated))
        {
            return null;
        }

        var group = parameters[2] | (parameters[3] << 8);
        var isValid = group > 0 && new UniformGrid(GroupAxis.Channel, parameters[0], group, false).IsValid && new UniformGrid(GroupAxis.Token, parameters[1], group, false).IsValid;
        return isValid ? new KiviCodec(parameters[0], parameters[1], group, parameters.Length == 5) : null;
    }
}
