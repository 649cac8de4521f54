using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Bases;

/// <summary>
/// Makes bases of a model out of some of its blocks: principal axes of the rows of each head, keys without their positions, first tokens of sequences
/// left out. A few thousand tokens of mixed text do; what heads have in common is not used. For one thread.
/// </summary>
/// <param name="layout">The layout of the blocks.</param>
public sealed class BasisCalibration(KvLayout layout)
{
    private readonly Dictionary<BasisKey, Moments> _heads = [];
    private readonly CodecScratch _scratch = new();

    /// <summary>Looks at a block.</summary>
    /// <param name="geometry">Where everything lies in it.</param>
    /// <param name="block">Exactly the bytes of the geometry.</param>
    /// <param name="firstPosition">Position of its first token in its sequence.</param>
    /// <exception cref="ArgumentException">The block is of another layout, or has another length.</exception>
    public void Add(BlockGeometry geometry, ReadOnlySpan<byte> block, long firstPosition)
    {
        if (!ReferenceEquals(geometry.Layout, layout) && !geometry.Layout.Hash.SequenceEqual(layout.Hash))
        {
            throw new ArgumentException("the block is of another layout.", nameof(geometry));
        }

        ArgumentOutOfRangeException.ThrowIfNotEqual(block.Length, geometry.Bytes);
        foreach (var plane in geometry.Planes)
        {
            var isUsed = plane.Shape is { Kind: PlaneKind.Key or PlaneKind.Value or PlaneKind.Latent, TailBytes: 0, Channels: <= ModelBases.MostChannels };
            for (var head = 0; isUsed && head < plane.HeadCount; head++)
            {
                Add(geometry, plane, head, block, firstPosition);
            }
        }
    }

    /// <summary>The bases of all heads that were seen.</summary>
    public ModelBases Finish() => ModelBases.Of(
        from pair in _heads
        orderby pair.Key.Layer, pair.Key.Kind, pair.Key.Head
        select (pair.Key, pair.Value.Axes()));

    private void Add(BlockGeometry geometry, in PlaneGeometry plane, int head, ReadOnlySpan<byte> block, long firstPosition)
    {
        var shape = new StripShape(
            layout, plane.Layer, plane.Shape.Kind, plane.FirstHead + head, geometry.Region.TokenCount, plane.Shape.Channels, plane.Shape.Element,
            firstPosition + geometry.Region.FirstToken);
        var rows = new float[shape.Elements];
        var stride = shape.Tokens == 1 ? shape.RowBytes : plane.TokenStride;
        new StripSource(block[plane.RowOffset(head, 0)..], shape, stride).ReadRows(0, shape.Tokens, rows, _scratch.Level);
        if (KeyTurning.Applies(shape))
        {
            KeyTurning.TurnBack(shape, rows, _scratch);
        }

        var key = new BasisKey(shape.Layer, shape.Kind, shape.Head, shape.Channels);
        if (!_heads.TryGetValue(key, out var moments))
        {
            _heads[key] = moments = new Moments(shape.Channels);
        }

        for (var token = (int)Math.Max(0, RawTokens.SinkTokens - shape.FirstPosition); token < shape.Tokens; token++)
        {
            moments.Add(rows.AsSpan(token * shape.Channels, shape.Channels));
        }
    }

    /// <summary>Sums of the rows of a head and of the products of their numbers.</summary>
    private sealed class Moments(int channels)
    {
        private readonly double[] _sums = new double[channels];
        private readonly double[] _products = new double[channels * channels];
        private long _rows;

        public void Add(ReadOnlySpan<float> row)
        {
            if (row.ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
            {
                return;
            }

            for (var first = 0; first < channels; first++)
            {
                _sums[first] += row[first];
                var products = _products.AsSpan(first * channels, channels);
                for (var second = 0; second < channels; second++)
                {
                    products[second] += (double)row[first] * row[second];
                }
            }

            _rows++;
        }

        public HeadBasis Axes()
        {
            var mean = new double[channels];
            var covariance = new double[channels * channels];
            var count = Math.Max(1, _rows);
            for (var channel = 0; channel < channels; channel++)
            {
                mean[channel] = _sums[channel] / count;
            }

            for (var index = 0; index < covariance.Length; index++)
            {
                covariance[index] = (_products[index] / count) - (mean[index / channels] * mean[index % channels]);
            }

            var (values, vectors) = SymmetricEigen.Solve(covariance, channels);
            return new HeadBasis(
                [.. mean.Select(one => (float)one)], [.. vectors.Select(one => (float)one)], [.. values.Select(one => (float)Math.Max(0, one))]);
        }
    }
}
