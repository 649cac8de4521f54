using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Mixed;

/// <summary>What a tensor takes and loses in one codec.</summary>
/// <param name="Bytes">Bytes of its section, the mean over the sample.</param>
/// <param name="Error">Mean squared relative error of attention outputs when only this tensor is coded; of a latent of its numbers.</param>
public readonly record struct TensorCost(double Bytes, double Error);

/// <summary>
/// What keys and values of each layer take and lose in each of some codecs: what a search for a plan works with. Errors of tensors add up, since losses
/// of different tensors have nothing to do with each other.
/// </summary>
public sealed class TensorCosts
{
    private readonly TensorCost[][] _costs;

    /// <param name="candidates">The codecs.</param>
    /// <param name="costs">For each layer keys, then values and latents: a cost for each codec. Of what is not stored, zeros.</param>
    /// <exception cref="ArgumentException">Costs do not fit codecs, or one is no number of zero or above.</exception>
    public TensorCosts(IReadOnlyList<KvCodec> candidates, IReadOnlyList<TensorCost[]> costs)
    {
        if (candidates.Count == 0 || costs.Count == 0 || costs.Count % 2 != 0 || costs.Any(row => row.Length != candidates.Count))
        {
            throw new ArgumentException($"{costs.Count} rows of costs of {candidates.Count} codecs: there must be two for each layer, with a cost for each codec.");
        }

        if (costs.Any(row => Array.Exists(row, cost => !double.IsFinite(cost.Bytes) || !double.IsFinite(cost.Error) || cost.Bytes < 0 || cost.Error < 0)))
        {
            throw new ArgumentException("every cost must be a number of zero or above.", nameof(costs));
        }

        Candidates = [.. candidates];
        _costs = [.. costs];
    }

    public IReadOnlyList<KvCodec> Candidates { get; }

    /// <summary>Twice the layers.</summary>
    public int Tensors => _costs.Length;

    public int Layers => _costs.Length / 2;

    /// <summary>The costs of a tensor, by codec: 2 × layer for keys, one more for values.</summary>
    public ReadOnlySpan<TensorCost> Of(int tensor) => _costs[tensor];

    /// <summary>Measures on blocks of a model, with queries made from their own keys.</summary>
    /// <param name="candidates">Codecs that code single heads without refinements.</param>
    /// <param name="geometry">Of all blocks; a whole block of all layers and heads.</param>
    /// <param name="blocks">The sample.</param>
    /// <param name="firstPosition">Position of their first tokens.</param>
    /// <param name="scratch">Working memory.</param>
    /// <exception cref="ArgumentException">There is no block, or one has another length.</exception>
    public static TensorCosts Measure(
        IReadOnlyList<KvCodec> candidates, BlockGeometry geometry, IReadOnlyList<ReadOnlyMemory<byte>> blocks, long firstPosition, CodecScratch scratch)
    {
        if (blocks.Count == 0)
        {
            throw new ArgumentException("a plan needs at least one block to be measured on.", nameof(blocks));
        }

        var costs = new TensorCost[2 * geometry.Layout.Layers.Length][];
        foreach (ref var row in costs.AsSpan())
        {
            row = new TensorCost[candidates.Count];
        }

        for (var candidate = 0; candidate < candidates.Count; candidate++)
        {
            foreach (var block in blocks)
            {
                MeasureBlock(candidates[candidate], candidate, geometry, block.Span, firstPosition, 1.0 / blocks.Count, costs, scratch);
            }
        }

        return new TensorCosts(candidates, costs);
    }

    private static void MeasureBlock(
        KvCodec codec, int candidate, BlockGeometry geometry, ReadOnlySpan<byte> block, long firstPosition, double weight, TensorCost[][] costs, CodecScratch scratch)
    {
        var encoded = new byte[BlockEncoder.MaxBytes(codec, geometry)];
        var length = BlockEncoder.Encode(codec, geometry, block, firstPosition, default, encoded, scratch);
        var decoded = new byte[geometry.Bytes];
        var alone = new CodecRegistry([new CodecFamily(codec.Id, (_, _) => codec, [])]);
        if (BlockDecoder.Decode(alone, encoded.AsSpan(0, length), geometry, decoded, scratch) != DecodeResult.Ok || EncodedBlock.TryOpen(encoded.AsSpan(0, length), out var opened) != DecodeResult.Ok)
        {
            throw new InvalidOperationException($"{codec.Name} does not decode what it encoded.");
        }

        foreach (var plane in geometry.Planes)
        {
            var bytes = opened.Section(opened.IndexOf(plane.Layer, plane.Shape.Kind)).Length;
            var error = plane.Shape.Kind is PlaneKind.Key or PlaneKind.Value or PlaneKind.Latent ? ErrorOf(geometry, plane, block, decoded) : 0;
            ref var cost = ref costs[(2 * plane.Layer) + (plane.Shape.Kind == PlaneKind.Key ? 0 : 1)][candidate];
            cost = new TensorCost(cost.Bytes + (bytes * weight), cost.Error + (error * weight));
        }
    }

    /// <summary>The mean over heads; of keys and values that have no counterpart, as of latents, the error of the numbers.</summary>
    private static double ErrorOf(BlockGeometry geometry, in PlaneGeometry plane, ReadOnlySpan<byte> block, ReadOnlySpan<byte> decoded)
    {
        var isKey = plane.Shape.Kind == PlaneKind.Key;
        var other = plane.Shape.Kind == PlaneKind.Latent ? -1 : geometry.IndexOf(plane.Layer, isKey ? PlaneKind.Value : PlaneKind.Key);
        double sum = 0;
        for (var head = 0; head < plane.HeadCount; head++)
        {
            var (before, after) = (Rows(geometry, plane, head, block), Rows(geometry, plane, head, decoded));
            var sums = default(ErrorSums);
            if (other >= 0 && geometry.Planes[other].HeadCount == plane.HeadCount)
            {
                var beside = Rows(geometry, geometry.Planes[other], head, block);
                var (keys, values) = isKey ? (before, beside) : (beside, before);
                var (decodedKeys, decodedValues) = isKey ? (after, beside) : (beside, after);
                var tokens = geometry.Region.TokenCount;
                var work = new float[ProbeAttention.WorkLength(tokens, keys.Length / tokens, values.Length / tokens)];
                var seed = ((uint)plane.Layer << 16) | (uint)head;
                ProbeAttention.Compare(keys, values, decodedKeys, decodedValues, tokens, keys.Length / tokens, seed, work, ref sums);
            }

            sums.AddValues(before, after);
            double error = float.IsNaN(sums.Result.Outputs) ? sums.Result.Values : sums.Result.Outputs;
            sum += double.IsFinite(error) ? error * error : 0;
        }

        return sum / plane.HeadCount;
    }

    private static float[] Rows(BlockGeometry geometry, in PlaneGeometry plane, int head, ReadOnlySpan<byte> block)
    {
        var rows = new float[geometry.Region.TokenCount * plane.Shape.Channels];
        for (var token = 0; token < geometry.Region.TokenCount; token++)
        {
            var row = rows.AsSpan(token * plane.Shape.Channels, plane.Shape.Channels);
            ElementConversion.ToSingle(plane.Shape.Element, block[plane.RowOffset(head, token)..], row, SimdLevels.Best);
        }

        return rows;
    }
}
