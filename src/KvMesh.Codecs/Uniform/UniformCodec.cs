using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Uniform;

/// <summary>
/// Uniform integers in groups: one grid for keys and one for values and latents. Eight bits lose next to nothing; four bits per token lose
/// keys whose channels have offsets of their own, for which groups run along channels.
/// </summary>
public sealed class UniformCodec : KvCodec
{
    private readonly UniformGrid _keys;
    private readonly UniformGrid _values;
    private readonly byte[] _parameters = new byte[2 * UniformGrid.ParameterBytes];

    /// <param name="name">Its name among presets; null for one made of its parameters.</param>
    /// <param name="keys">Grid of keys.</param>
    /// <param name="values">Grid of values and latents.</param>
    /// <exception cref="ArgumentException">Bits are not 2, 4 or 8, or a group is no multiple of 8 up to 2,040.</exception>
    public UniformCodec(string? name, UniformGrid keys, UniformGrid values)
    {
        if (!keys.IsValid || !values.IsValid)
        {
            throw new ArgumentException($"grids {keys.Name} and {values.Name}: bits must be 2, 4 or 8, groups multiples of 8 from 0 to {UniformGrid.MaxGroup}.");
        }

        (_keys, _values) = (keys, values);
        Name = name ?? $"int-k{keys.Name}-v{values.Name}";
        keys.Write(_parameters);
        values.Write(_parameters.AsSpan(UniformGrid.ParameterBytes));
    }

    public static CodecFamily Family { get; } = new(CodecId.UniformGroups, Read,
    [
        new UniformCodec("int8", new(GroupAxis.Token, 8, 0, true), new(GroupAxis.Token, 8, 0, true)),
        new UniformCodec("int8-kc", new(GroupAxis.Channel, 8, 0, true), new(GroupAxis.Token, 8, 0, true)),
        new UniformCodec("int4-g32", new(GroupAxis.Token, 4, 32, false), new(GroupAxis.Token, 4, 32, false)),
        new UniformCodec("int4-g64", new(GroupAxis.Token, 4, 64, false), new(GroupAxis.Token, 4, 64, false)),
        new UniformCodec("int4-g128", new(GroupAxis.Token, 4, 0, false), new(GroupAxis.Token, 4, 0, false)),
        new UniformCodec("int8-k-int4-v-g64", new(GroupAxis.Token, 8, 0, true), new(GroupAxis.Token, 4, 64, false)),
        new UniformCodec("int2-g32", new(GroupAxis.Token, 2, 32, false), new(GroupAxis.Token, 2, 32, false)),
    ]);

    public override CodecId Id => CodecId.UniformGroups;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    public override int TokenMultiple => Math.Max(_keys.TokenMultiple, _values.TokenMultiple);

    internal UniformGrid Grid(PlaneKind kind) => kind == PlaneKind.Key ? _keys : _values;

    public override bool Codes(in PlaneShape plane) =>
        base.Codes(plane) || (plane is { Kind: PlaneKind.LatentRope, Element: not KvElement.Opaque, TailBytes: 0 } && _values.Bits == 8);

    public override int MaxStripBytes(in StripShape shape) => Grid(shape.Kind).StripBytes(shape);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch) =>
        GroupQuantizer.Encode(Grid(shape.Kind), shape, source, destination, scratch);

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch) =>
        GroupQuantizer.TryDecode(Grid(shape.Kind), shape, source, target, scratch);

    private static UniformCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length != 2 * UniformGrid.ParameterBytes)
        {
            return null;
        }

        var keys = UniformGrid.Read(parameters);
        var values = UniformGrid.Read(parameters[UniformGrid.ParameterBytes..]);
        return keys is { } forKeys && values is { } forValues ? new UniformCodec(null, forKeys, forValues) : null;
    }
}
