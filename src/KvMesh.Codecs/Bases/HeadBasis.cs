using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Bases;

/// <summary>
/// Directions in which rows of one head lie, of those that matter most first: the mean of its rows, orthonormal vectors, and how much rows vary along
/// each. Made of many tokens of a model once; immutable.
/// </summary>
public sealed class HeadBasis
{
    private readonly float[] _mean;
    private readonly float[] _vectors;
    private readonly float[] _variances;

    /// <param name="mean">Mean of each channel.</param>
    /// <param name="vectors">As many vectors as channels, one after the other.</param>
    /// <param name="variances">Variance along each, falling.</param>
    internal HeadBasis(float[] mean, float[] vectors, float[] variances)
    {
        _mean = mean;
        _vectors = vectors;
        _variances = variances;
    }

    public int Channels => _mean.Length;

    public ReadOnlySpan<float> Mean => _mean;

    public ReadOnlySpan<float> Variances => _variances;

    public ReadOnlySpan<float> Vector(int index) => _vectors.AsSpan(index * Channels, Channels);

    /// <summary>How far a row goes along the first vectors. The row is left without the mean.</summary>
    internal void Project(Span<float> row, Span<float> along, SimdLevel level)
    {
        Scaling.Subtract(row, _mean, level);
        for (var index = 0; index < along.Length; index++)
        {
            along[index] = Scaling.Dot(row, Vector(index), level);
        }
    }

    /// <summary>The row that goes so far along the first vectors.</summary>
    internal void Compose(ReadOnlySpan<float> along, Span<float> row, SimdLevel level)
    {
        _mean.CopyTo(row);
        for (var index = 0; index < along.Length; index++)
        {
            if (along[index] != 0)
            {
                Scaling.AddScaled(row, Vector(index), along[index], level);
            }
        }
    }
}
