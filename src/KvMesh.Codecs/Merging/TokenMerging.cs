using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Merging;

/// <summary>
/// Drops tokens of a block and merges their values into tokens that stay, after D2O (Wan et al., 2024) in the form of kvpress: each dropped value goes, with
/// the weight of its key's likeness and its own share of the length, to the kept token near it whose key is most alike. Keys stay bit by bit.
/// Rotated keys are alike for neighbours only, so that no token is merged farther than <see cref="MostDistance"/>.
/// </summary>
public static class TokenMerging
{
    /// <summary>Most tokens between one that is dropped and the one that takes its value.</summary>
    public const int MostDistance = 16;

    private const int KeySlot = 0;
    private const int ValueSlot = 1;
    private const int LengthSlot = 2;
    private const int WeightSlot = 3;
    private const int SumSlot = 4;

    /// <summary>Writes the block of the kept tokens, which <see cref="EncodeOptions.KeptOffsets"/> then describes.</summary>
    /// <param name="whole">Where everything lies in <paramref name="block"/>.</param>
    /// <param name="block">The block.</param>
    /// <param name="kept">Tokens of the block that stay, ascending.</param>
    /// <param name="shorter">The same heads with as many tokens as stay. States, which belong to whole blocks, are not in it.</param>
    /// <param name="destination">Exactly the bytes of <paramref name="shorter"/>.</param>
    /// <param name="scratch">Working memory of this thread.</param>
    /// <exception cref="ArgumentException">Tokens do not ascend within the block, or a part or length does not fit the other.</exception>
    public static void Merge(
        BlockGeometry whole, ReadOnlySpan<byte> block, ReadOnlySpan<int> kept, BlockGeometry shorter, Span<byte> destination, CodecScratch scratch)
    {
        Validate(whole, block, kept, shorter, destination);
        foreach (var to in shorter.Planes)
        {
            var from = whole.Planes[whole.IndexOf(to.Layer, to.Shape.Kind)];
            for (var head = 0; head < from.HeadCount; head++)
            {
                for (var row = 0; row < shorter.Rows(to); row++)
                {
                    var token = from.Shape.IsPerToken ? kept[row] : row;
                    block.Slice(from.RowOffset(head, token), from.Shape.RowBytes).CopyTo(destination[to.RowOffset(head, row)..]);
                }

                var keys = from.Shape is { Kind: PlaneKind.Value, TailBytes: 0 } ? whole.IndexOf(from.Layer, PlaneKind.Key) : -1;
                if (keys >= 0 && whole.Planes[keys].HeadCount == from.HeadCount && whole.Planes[keys].Shape.TailBytes == 0)
                {
                    MergeHead(whole, whole.Planes[keys], from, head, block, kept, to, destination, scratch);
                }
            }
        }
    }

    private static void Validate(BlockGeometry whole, ReadOnlySpan<byte> block, ReadOnlySpan<int> kept, BlockGeometry shorter, ReadOnlySpan<byte> destination)
    {
        if (block.Length != whole.Bytes || destination.Length != shorter.Bytes || kept.Length != shorter.Region.TokenCount || !whole.Layout.Hash.SequenceEqual(shorter.Layout.Hash))
        {
            throw new ArgumentException(
                $"{kept.Length} kept tokens of {block.Length} bytes are to become {shorter.Region.TokenCount} of {destination.Length}: bytes and layout must be those of the parts.");
        }

        foreach (var plane in shorter.Planes)
        {
            var index = whole.IndexOf(plane.Layer, plane.Shape.Kind);
            if (index < 0 || whole.Planes[index].FirstHead != plane.FirstHead || whole.Planes[index].HeadCount != plane.HeadCount)
            {
                throw new ArgumentException($"{plane.Shape.Kind} of layer {plane.Layer} must be of the same heads in both parts.", nameof(shorter));
            }
        }

        for (var row = 0; row < kept.Length; row++)
        {
            if (kept[row] < (row == 0 ? 0 : kept[row - 1] + 1) || kept[row] >= whole.Region.TokenCount)
            {
                throw new ArgumentException($"kept token {kept[row]} must be above that before it and below {whole.Region.TokenCount}.", nameof(kept));
            }
        }
    }

    private static void MergeHead(
        BlockGeometry whole, in PlaneGeometry keyPlane, in PlaneGeometry valuePlane, int head, ReadOnlySpan<byte> block, ReadOnlySpan<int> kept,
        in PlaneGeometry target, Span<byte> destination, CodecScratch scratch)
    {
        var tokens = whole.Region.TokenCount;
        var keys = Read(keyPlane, head, block, tokens, KeySlot, scratch);
        var values = Read(valuePlane, head, block, tokens, ValueSlot, scratch);
        var (width, channels) = (keyPlane.Shape.Channels, valuePlane.Shape.Channels);
        var lengths = scratch.Rent<float>(LengthSlot, 2 * tokens);
        for (var token = 0; token < tokens; token++)
        {
            lengths[token] = MathF.Sqrt(Scaling.SumOfSquares(keys.Slice(token * width, width), scratch.Level));
            lengths[tokens + token] = MathF.Sqrt(Scaling.SumOfSquares(values.Slice(token * channels, channels), scratch.Level));
        }

        var weights = scratch.Rent<float>(WeightSlot, kept.Length);
        var sums = scratch.Rent<float>(SumSlot, kept.Length * channels);
        weights.Clear();
        sums.Clear();
        var next = 0;
        for (var token = 0; token < tokens; token++)
        {
            if (next < kept.Length && kept[next] == token)
            {
                next++;
                continue;
            }

            var (row, likeness) = MostAlike(keys, lengths, width, kept, next, token, scratch.Level);
            var own = lengths[tokens + token];
            if (row >= 0 && likeness > 0 && own > 0)
            {
                var weight = likeness * own / (own + lengths[tokens + kept[row]]);
                weights[row] += weight;
                Scaling.AddScaled(sums.Slice(row * channels, channels), values.Slice(token * channels, channels), weight, scratch.Level);
            }
        }

        for (var row = 0; row < kept.Length; row++)
        {
            // What nothing was merged into stays bit by bit; so does what is no number.
            if (weights[row] > 0 && float.IsFinite(lengths[tokens + kept[row]]) && float.IsFinite(weights[row]))
            {
                var sum = sums.Slice(row * channels, channels);
                Scaling.Add(sum, values.Slice(kept[row] * channels, channels), scratch.Level);
                Scaling.Multiply(sum, 1 / (1 + weights[row]), scratch.Level);
                var bytes = destination.Slice(target.RowOffset(head, row), target.Shape.RowBytes);
                ElementConversion.FromSingle(target.Shape.Element, sum, bytes, scratch.Level);
                Saturation.Apply(target.Shape.Element, bytes, scratch.Level);
            }
        }
    }

    private static Span<float> Read(in PlaneGeometry plane, int head, ReadOnlySpan<byte> block, int tokens, int slot, CodecScratch scratch)
    {
        var channels = plane.Shape.Channels;
        var rows = scratch.Rent<float>(slot, tokens * channels);
        for (var token = 0; token < tokens; token++)
        {
            ElementConversion.ToSingle(
                plane.Shape.Element, block.Slice(plane.RowOffset(head, token), plane.Shape.RowBytes), rows.Slice(token * channels, channels), scratch.Level);
        }

        return rows;
    }

    /// <summary>The kept row near a token whose key has the greatest cosine with the token's; -1 when there is none.</summary>
    private static (int Row, float Likeness) MostAlike(
        ReadOnlySpan<float> keys, ReadOnlySpan<float> lengths, int width, ReadOnlySpan<int> kept, int next, int token, SimdLevel level)
    {
        var (best, most) = (-1, float.NegativeInfinity);
        var first = next;
        while (first > 0 && token - kept[first - 1] <= MostDistance)
        {
            first--;
        }

        for (var row = first; row < kept.Length && kept[row] - token <= MostDistance; row++)
        {
            var product = Scaling.Dot(keys.Slice(token * width, width), keys.Slice(kept[row] * width, width), level);
            var likeness = product / (lengths[token] * lengths[kept[row]]);
            if (likeness > most)
            {
                (best, most) = (row, likeness);
            }
        }

        return (best, most);
    }
}
