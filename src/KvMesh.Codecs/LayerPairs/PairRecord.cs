using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.LayerPairs;

/// <summary>Takes pairs of layers apart into shared directions and a record of what they do not share, and puts them together again.</summary>
internal static class PairRecord
{
    private const int FirstSlot = 0;
    private const int SecondSlot = 1;
    private const int DirectionSlot = 2;
    private const int AngleSlot = 3;
    private const int SortedSlot = 4;
    private const int KeptSlot = 5;

    // What a half holds without losing bits of its mantissa.
    private const float LeastLength = 1f / (1 << 14);
    private const float MostLength = 65_504;

    public static int MaxBytes(LayerPairPlan plan)
    {
        long bytes = 0;
        foreach (var layer in plan.Pairs)
        {
            var pair = new HeadPair(plan, layer);
            bytes += pair.Heads * (pair.FixedBytes + ((long)plan.Whole.Region.TokenCount * pair.KeptBytes));
        }

        return checked((int)bytes);
    }

    /// <summary>Rows of what is in no pair, and of what pairs have one of, from one geometry to the other.</summary>
    public static void CopyOthers(BlockGeometry merged, BlockGeometry whole, ReadOnlySpan<byte> source, Span<byte> target, bool isBack = false)
    {
        foreach (var plane in merged.Planes)
        {
            var other = whole.Planes[whole.IndexOf(plane.Layer, plane.Shape.Kind)];
            var (from, to) = isBack ? (plane, other) : (other, plane);
            for (var head = 0; head < from.HeadCount; head++)
            {
                for (var row = 0; row < merged.Rows(plane); row++)
                {
                    source.Slice(from.RowOffset(head, row), from.Shape.RowBytes).CopyTo(target[to.RowOffset(head, row)..]);
                }
            }
        }
    }

    /// <param name="codec">Shares of the way and of tokens.</param>
    /// <param name="plan">The pairs.</param>
    /// <param name="block">The whole part.</param>
    /// <param name="sinks">First tokens that are kept.</param>
    /// <param name="tail">Last tokens that are kept.</param>
    /// <param name="merged">The merged part, whose pairs are written here.</param>
    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <param name="scratch">Working memory.</param>
    /// <returns>Bytes written.</returns>
    public static int Write(
        LayerPairCodec codec, LayerPairPlan plan, ReadOnlySpan<byte> block, int sinks, int tail, Span<byte> merged, Span<byte> destination, CodecScratch scratch)
    {
        var at = 0;
        var tokens = plan.Whole.Region.TokenCount;
        foreach (var layer in plan.Pairs)
        {
            var pair = new HeadPair(plan, layer);
            for (var head = 0; head < pair.Heads; head++)
            {
                var kept = scratch.Rent<bool>(KeptSlot, tokens);
                kept.Clear();
                kept[..Math.Min(sinks, tokens)].Fill(true);
                kept[^Math.Min(tail, tokens)..].Fill(true);
                var angles = scratch.Rent<float>(AngleSlot, tokens);
                var part = destination[at..];
                Share(codec, pair.Values, head, block, merged, part[(4 * tokens)..], kept, angles, scratch);
                Share(codec, pair.Keys, head, block, merged, part, kept, angles, scratch);
                KeepLargest(angles, (int)Math.Ceiling(codec.KeptShare * (double)tokens), kept, scratch.Rent<float>(SortedSlot, tokens));
                var bits = part.Slice(8 * tokens, pair.FixedBytes - (8 * tokens));
                bits.Clear();
                at += pair.FixedBytes;
                for (var token = 0; token < tokens; token++)
                {
                    if (kept[token])
                    {
                        bits[token >> 3] |= (byte)(1 << (token & 7));
                        at += pair.CopyKept(head, token, block, destination[at..]);
                    }
                }
            }
        }

        return at;
    }

    /// <summary>Writes all rows of pairs; false when the record is not one of this plan.</summary>
    public static bool TryRead(LayerPairPlan plan, ReadOnlySpan<byte> record, ReadOnlySpan<byte> merged, Span<byte> block, CodecScratch scratch)
    {
        var tokens = plan.Whole.Region.TokenCount;
        foreach (var layer in plan.Pairs)
        {
            var pair = new HeadPair(plan, layer);
            for (var head = 0; head < pair.Heads; head++)
            {
                if (record.Length < pair.FixedBytes)
                {
                    return false;
                }

                Restore(pair.Keys, head, merged, record, block, scratch);
                Restore(pair.Values, head, merged, record[(4 * tokens)..], block, scratch);
                var bits = record[(8 * tokens)..pair.FixedBytes];
                record = record[pair.FixedBytes..];
                for (var token = 0; token < 8 * bits.Length; token++)
                {
                    if ((bits[token >> 3] & (1 << (token & 7))) == 0)
                    {
                        continue;
                    }

                    if (token >= tokens || record.Length < pair.KeptBytes)
                    {
                        return false;
                    }

                    pair.PutKept(head, token, record, block);
                    record = record[pair.KeptBytes..];
                }
            }
        }

        return record.IsEmpty;
    }

    /// <summary>Writes directions to the merged part and lengths to the record, and keeps rows whose length a half does not hold.</summary>
    private static void Share(
        LayerPairCodec codec, in PlanePair pair, int head, ReadOnlySpan<byte> block, Span<byte> merged, Span<byte> lengths, Span<bool> kept,
        Span<float> angles, CodecScratch scratch)
    {
        var tokens = kept.Length;
        var shape = pair.First.Shape;
        var first = scratch.Rent<float>(FirstSlot, shape.Channels);
        var second = scratch.Rent<float>(SecondSlot, shape.Channels);
        var direction = scratch.Rent<float>(DirectionSlot, shape.Channels);
        var halves = MemoryMarshal.Cast<byte, ushort>(lengths[..(4 * tokens)]);
        for (var token = 0; token < tokens; token++)
        {
            ElementConversion.ToSingle(shape.Element, block.Slice(pair.First.RowOffset(head, token), shape.RowBytes), first, scratch.Level);
            ElementConversion.ToSingle(shape.Element, block.Slice(pair.Second.RowOffset(head, token), shape.RowBytes), second, scratch.Level);
            var both = (First: MathF.Sqrt(Scaling.SumOfSquares(first, scratch.Level)), Second: MathF.Sqrt(Scaling.SumOfSquares(second, scratch.Level)));
            var row = merged.Slice(pair.Merged.RowOffset(head, token), shape.RowBytes);
            if (!IsHalf(both.First, first) || !IsHalf(both.Second, second))
            {
                kept[token] = true;
                angles[token] = 0;
                halves[token] = halves[tokens + token] = 0;
                row.Clear();
                continue;
            }

            angles[token] = SharedDirection.Of(first, second, both, codec.Share, direction, scratch.Level);
            halves[token] = Fp16.FromSingle(both.First);
            halves[tokens + token] = Fp16.FromSingle(both.Second);
            ElementConversion.FromSingle(shape.Element, direction, row, scratch.Level);
        }
    }

    private static void Restore(in PlanePair pair, int head, ReadOnlySpan<byte> merged, ReadOnlySpan<byte> lengths, Span<byte> block, CodecScratch scratch)
    {
        var shape = pair.First.Shape;
        var direction = scratch.Rent<float>(DirectionSlot, shape.Channels);
        var row = scratch.Rent<float>(FirstSlot, shape.Channels);
        var halves = MemoryMarshal.Cast<byte, ushort>(lengths);
        var tokens = pair.Tokens;
        for (var token = 0; token < tokens; token++)
        {
            ElementConversion.ToSingle(shape.Element, merged.Slice(pair.Merged.RowOffset(head, token), shape.RowBytes), direction, scratch.Level);
            var length = MathF.Sqrt(Scaling.SumOfSquares(direction, scratch.Level));
            var inverse = length > 0 && float.IsFinite(length) ? 1 / length : 0;
            for (var which = 0; which < 2; which++)
            {
                var own = Fp16.ToSingle(halves[(which * tokens) + token]);
                direction.CopyTo(row);
                Scaling.Multiply(row, float.IsFinite(own) ? own * inverse : 0, scratch.Level);
                var plane = which == 0 ? pair.First : pair.Second;
                var bytes = block.Slice(plane.RowOffset(head, token), shape.RowBytes);
                ElementConversion.FromSingle(shape.Element, row, bytes, scratch.Level);
                Saturation.Apply(shape.Element, bytes, scratch.Level);
            }
        }
    }

    /// <summary>Keeps at least so many tokens, of those that are not kept yet the ones with the largest angle.</summary>
    private static void KeepLargest(ReadOnlySpan<float> angles, int wanted, Span<bool> kept, Span<float> sorted)
    {
        var open = 0;
        for (var token = 0; token < angles.Length; token++)
        {
            if (!kept[token])
            {
                sorted[open++] = angles[token];
            }
        }

        wanted = Math.Min(wanted - (angles.Length - open), open);
        if (wanted <= 0)
        {
            return;
        }

        sorted[..open].Sort();
        var least = sorted[open - wanted];
        var above = open - 1 - sorted[..open].LastIndexOf(least);
        for (var (token, atLeast) = (0, wanted - above); token < angles.Length; token++)
        {
            if (!kept[token] && (angles[token] > least || (angles[token] == least && atLeast-- > 0)))
            {
                kept[token] = true;
            }
        }
    }

    /// <summary>Whether a half tells the length; squares of what is tiny are zero, which does not.</summary>
    private static bool IsHalf(float length, ReadOnlySpan<float> row) =>
        length is >= LeastLength and <= MostLength || (length == 0 && !row.ContainsAnyExcept(0));
}

/// <summary>The same tensor of both layers of a pair, and where their directions are.</summary>
internal readonly record struct PlanePair(PlaneGeometry First, PlaneGeometry Second, PlaneGeometry Merged, int Tokens)
{
    public static PlanePair Of(LayerPairPlan plan, int layer, PlaneKind kind) => new(
        plan.Whole.Planes[plan.Whole.IndexOf(layer, kind)], plan.Whole.Planes[plan.Whole.IndexOf(layer + 1, kind)],
        plan.Merged.Planes[plan.Merged.IndexOf(layer, kind)], plan.Whole.Region.TokenCount);
}

/// <summary>Keys and values of both layers of a pair.</summary>
internal readonly struct HeadPair(LayerPairPlan plan, int layer)
{
    private readonly int _tokens = plan.Whole.Region.TokenCount;

    public PlanePair Keys { get; } = PlanePair.Of(plan, layer, PlaneKind.Key);

    public PlanePair Values { get; } = PlanePair.Of(plan, layer, PlaneKind.Value);

    public int Heads => Keys.First.HeadCount;

    /// <summary>Bytes of lengths and bits of one head.</summary>
    public int FixedBytes => (8 * _tokens) + ((_tokens + 7) / 8);

    /// <summary>Bytes of the rows of one token.</summary>
    public int KeptBytes => 2 * (Keys.First.Shape.RowBytes + Values.First.Shape.RowBytes);

    public int CopyKept(int head, int token, ReadOnlySpan<byte> block, Span<byte> destination)
    {
        var at = 0;
        foreach (var plane in (ReadOnlySpan<PlaneGeometry>)[Keys.First, Keys.Second, Values.First, Values.Second])
        {
            block.Slice(plane.RowOffset(head, token), plane.Shape.RowBytes).CopyTo(destination[at..]);
            at += plane.Shape.RowBytes;
        }

        return at;
    }

    public void PutKept(int head, int token, ReadOnlySpan<byte> source, Span<byte> block)
    {
        foreach (var plane in (ReadOnlySpan<PlaneGeometry>)[Keys.First, Keys.Second, Values.First, Values.Second])
        {
            source[..plane.Shape.RowBytes].CopyTo(block[plane.RowOffset(head, token)..]);
            source = source[plane.Shape.RowBytes..];
        }
    }
}
