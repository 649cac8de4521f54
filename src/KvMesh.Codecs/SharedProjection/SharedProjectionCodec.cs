using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.SharedProjection;

/// <summary>
/// How far each row goes along the first directions that the model's rows have in common, in uniform groups: a low rank whose second matrix is not in the
/// block but in <see cref="ModelBases"/>, as Palu and EigenAttention have it (2024). Keys lose their positions before. A strip is the groups of a
/// matrix of tokens by rank as <see cref="GroupQuantizer"/> writes them; its first channels are those that matter most.
/// </summary>
public sealed class SharedProjectionCodec : KvCodec
{
    private const int RowsSlot = GroupQuantizer.SlotsUsed;
    private const int AlongSlot = RowsSlot + 1;
    private const int ParameterCount = ModelBases.HashBytes + sizeof(ushort) + UniformGrid.ParameterBytes;

    private readonly ModelBases _bases;
    private readonly UniformGrid _grid;
    private readonly byte[] _parameters = new byte[ParameterCount];

    /// <param name="bases">Of the model; who decodes needs the same.</param>
    /// <param name="rank">Directions that are kept: a multiple of 8 from 8 to 1,024. Heads of no more channels are left as they are.</param>
    /// <param name="bits">Bits of a number: 4 or 8.</param>
    public SharedProjectionCodec(ModelBases bases, int rank, int bits)
    {
        if (!IsValid(rank, bits))
        {
            throw new ArgumentException($"rank {rank} with {bits} bits: it must be a multiple of 8 up to {ModelBases.MostChannels}, with 4 or 8 bits.");
        }

        (_bases, Rank) = (bases, rank);
        _grid = GridOf(bits);
        Name = $"projected-r{rank}-int{bits}";
        bases.Hash.CopyTo(_parameters);
        _parameters[ModelBases.HashBytes] = (byte)rank;
        _parameters[ModelBases.HashBytes + 1] = (byte)(rank >> 8);
        _grid.Write(_parameters.AsSpan(ModelBases.HashBytes + sizeof(ushort)));
    }

    public override CodecId Id => CodecId.SharedProjection;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    internal int Rank { get; }

    internal UniformGrid Grid => _grid;

    public override int MaxStripBytes(in StripShape shape) => _grid.StripBytes(Projected(shape));

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        if (Basis(shape) is not { } basis)
        {
            return NotCoded;
        }

        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        if (KeyTurning.Applies(shape))
        {
            KeyTurning.TurnBack(shape, rows, scratch);
        }

        var along = scratch.Rent<float>(AlongSlot, shape.Tokens * Rank);
        for (var token = 0; token < shape.Tokens; token++)
        {
            basis.Project(rows.Slice(token * shape.Channels, shape.Channels), along.Slice(token * Rank, Rank), scratch.Level);
        }

        return GroupQuantizer.EncodeRows(_grid, Projected(shape), along, destination, scratch);
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        var along = scratch.Rent<float>(AlongSlot, shape.Tokens * Rank);
        if (Basis(shape) is not { } basis || !GroupQuantizer.TryDecodeRows(_grid, Projected(shape), source, along, scratch))
        {
            return false;
        }

        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        for (var token = 0; token < shape.Tokens; token++)
        {
            basis.Compose(along.Slice(token * Rank, Rank), rows.Slice(token * shape.Channels, shape.Channels), scratch.Level);
        }

        if (KeyTurning.Applies(shape))
        {
            KeyTurning.TurnForth(shape, rows, scratch);
        }

        target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        return true;
    }

    /// <summary>The family for models whose bases are here. With one model its presets are that model's; names say nothing of others.</summary>
    public static CodecFamily FamilyOf(IReadOnlyList<ModelBases> models) => new(
        CodecId.SharedProjection, (version, parameters) => Read(models, version, parameters),
        models.Count == 1 ? [new SharedProjectionCodec(models[0], 32, 8), new SharedProjectionCodec(models[0], 56, 4)] : []);

    private static SharedProjectionCodec? Read(IReadOnlyList<ModelBases> models, byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length != ParameterCount)
        {
            return null;
        }

        var rank = parameters[ModelBases.HashBytes] | (parameters[ModelBases.HashBytes + 1] << 8);
        if (UniformGrid.Read(parameters[(ModelBases.HashBytes + sizeof(ushort))..]) is not { } grid || !IsValid(rank, grid.Bits) || grid != GridOf(grid.Bits))
        {
            return null;
        }

        foreach (var bases in models)
        {
            if (bases.Hash.SequenceEqual(parameters[..ModelBases.HashBytes]))
            {
                return new SharedProjectionCodec(bases, rank, grid.Bits);
            }
        }

        return null;
    }

    private static bool IsValid(int rank, int bits) => rank is > 0 and <= ModelBases.MostChannels && rank % 8 == 0 && bits is 4 or 8;

    /// <summary>First directions carry most, so that few of them share a scale.</summary>
    private static UniformGrid GridOf(int bits) => new(GroupAxis.Token, bits, 8, bits == 8);

    private StripShape Projected(in StripShape shape) => shape with { Channels = Rank };

    private HeadBasis? Basis(in StripShape shape) =>
        shape.Channels > Rank ? _bases.Find(new BasisKey(shape.Layer, shape.Kind, shape.Head, shape.Channels)) : null;
}
