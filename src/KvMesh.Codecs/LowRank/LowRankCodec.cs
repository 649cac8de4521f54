using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.LowRank;

/// <summary>
/// Each strip as the product of two thin matrices, its truncated singular value decomposition. At equal bytes quantisation loses less; thin keys
/// serve as an index, as in ShadowKV (Sun et al., 2024). Keys lose their positions before, which would spread them over more directions. A
/// strip is tokens by rank and channels by rank, column after column, as halves.
/// </summary>
public sealed class LowRankCodec : KvCodec
{
    /// <summary>Most columns of the thin matrices.</summary>
    public const int MostRank = 256;

    private const int Rounds = 6;
    private const int RowsSlot = 0;
    private const int LeftSlot = 1;
    private const int RightSlot = 2;

    private readonly byte[] _parameters;

    /// <param name="rank">Columns of the thin matrices, 1 to 256; a strip of fewer tokens or channels takes as many as those.</param>
    public LowRankCodec(int rank)
    {
        if (rank is < 1 or > MostRank)
        {
            throw new ArgumentException($"rank {rank}: it must be from 1 to {MostRank}.", nameof(rank));
        }

        Rank = rank;
        Name = $"svd-r{rank}";
        _parameters = [(byte)rank, (byte)(rank >> 8)];
    }

    public static CodecFamily Family { get; } = new(CodecId.LowRank, Read, [new LowRankCodec(16), new LowRankCodec(32)]);

    public override CodecId Id => CodecId.LowRank;

    public override string Name { get; }

    public override ReadOnlyMemory<byte> Parameters => _parameters;

    internal int Rank { get; }

    public override int MaxStripBytes(in StripShape shape) => RankOf(shape) * (shape.Tokens + shape.Channels) * sizeof(ushort);

    public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
    {
        var rank = RankOf(shape);
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        source.ReadRows(0, shape.Tokens, rows, scratch.Level);
        if (KeyTurning.Applies(shape))
        {
            KeyTurning.TurnBack(shape, rows, scratch);
        }

        var left = scratch.Rent<float>(LeftSlot, shape.Tokens * rank);
        var right = scratch.Rent<float>(RightSlot, shape.Channels * rank);
        ThinProduct.Approximate(rows, shape.Channels, rank, Rounds, left, right, scratch.Level);
        var bytes = MaxStripBytes(shape);
        var halves = MemoryMarshal.Cast<byte, ushort>(destination[..bytes]);
        Fp16.FromSingle(left, halves[..left.Length], scratch.Level);
        Fp16.FromSingle(right, halves[left.Length..], scratch.Level);
        return FiniteScan.AllFinite(KvElement.Float16, destination[..bytes], scratch.Level) ? bytes : NotCoded;
    }

    public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch)
    {
        if (source.Length != MaxStripBytes(shape) || !FiniteScan.AllFinite(KvElement.Float16, source, scratch.Level))
        {
            return false;
        }

        var rank = RankOf(shape);
        var halves = MemoryMarshal.Cast<byte, ushort>(source);
        var rows = scratch.Rent<float>(RowsSlot, shape.Elements);
        var left = scratch.Rent<float>(LeftSlot, shape.Tokens * rank);
        var right = scratch.Rent<float>(RightSlot, shape.Channels * rank);
        Fp16.ToSingle(halves[..left.Length], left, scratch.Level);
        Fp16.ToSingle(halves[left.Length..], right, scratch.Level);
        rows.Clear();
        ThinProduct.AddTo(rows, shape.Channels, rank, left, right, scratch.Level);
        if (KeyTurning.Applies(shape))
        {
            KeyTurning.TurnForth(shape, rows, scratch);
        }

        target.WriteRows(0, shape.Tokens, rows, scratch.Level);
        return true;
    }

    private static LowRankCodec? Read(byte version, ReadOnlySpan<byte> parameters)
    {
        if (version != 1 || parameters.Length != 2)
        {
            return null;
        }

        var rank = parameters[0] | (parameters[1] << 8);
        return rank is >= 1 and <= MostRank ? new LowRankCodec(rank) : null;
    }

    private int RankOf(in StripShape shape) => Math.Min(Rank, Math.Min(shape.Tokens, shape.Channels));
}
