using KvMesh.Codecs.Blocks;

namespace KvMesh.Codecs.Numerics;

/// <summary>
/// The product of a matrix of tokens by rank and one of rank by channels that is near a matrix of tokens by channels, by block power iteration.
/// Columns of the first are orthonormal, so that no product of theirs is nearer. Both are stored column after column.
/// </summary>
internal static class ThinProduct
{
    private const uint Seed = 20_24;
    private const float LeastLength = 1e-30f;

    /// <param name="rows">The matrix, row after row.</param>
    /// <param name="channels">Numbers of a row.</param>
    /// <param name="rank">Columns of the thin matrices.</param>
    /// <param name="rounds">Each brings the product nearer: two do where the product is a detail, six where it is all there is.</param>
    /// <param name="left">Tokens by rank.</param>
    /// <param name="right">Channels by rank.</param>
    /// <param name="level">Instructions to use.</param>
    public static void Approximate(
        ReadOnlySpan<float> rows, int channels, int rank, int rounds, Span<float> left, Span<float> right, SimdLevel level)
    {
        if (rank == 0)
        {
            return;
        }

        var random = new ProbeRandom(Seed);
        foreach (ref var start in right)
        {
            start = (float)random.NextNormal();
        }

        for (var round = 0; round < rounds; round++)
        {
            Project(rows, channels, rank, right, left, level);
            Orthonormalise(left, rank, level);
            Gather(rows, channels, rank, left, right, level);
        }
    }

    public static void AddTo(Span<float> rows, int channels, int rank, ReadOnlySpan<float> left, ReadOnlySpan<float> right, SimdLevel level)
    {
        var tokens = rows.Length / channels;
        for (var token = 0; token < tokens; token++)
        {
            var row = rows.Slice(token * channels, channels);
            for (var column = 0; column < rank; column++)
            {
                Scaling.AddScaled(row, right.Slice(column * channels, channels), left[(column * tokens) + token], level);
            }
        }
    }

    /// <summary>left = rows × right</summary>
    private static void Project(ReadOnlySpan<float> rows, int channels, int rank, ReadOnlySpan<float> right, Span<float> left, SimdLevel level)
    {
        var tokens = rows.Length / channels;
        for (var token = 0; token < tokens; token++)
        {
            for (var column = 0; column < rank; column++)
            {
                left[(column * tokens) + token] = Scaling.Dot(rows.Slice(token * channels, channels), right.Slice(column * channels, channels), level);
            }
        }
    }

    /// <summary>right = rowsᵀ × left</summary>
    private static void Gather(ReadOnlySpan<float> rows, int channels, int rank, ReadOnlySpan<float> left, Span<float> right, SimdLevel level)
    {
        right.Clear();
        var tokens = rows.Length / channels;
        for (var token = 0; token < tokens; token++)
        {
            for (var column = 0; column < rank; column++)
            {
                Scaling.AddScaled(right.Slice(column * channels, channels), rows.Slice(token * channels, channels), left[(column * tokens) + token], level);
            }
        }
    }

    /// <summary>By Gram and Schmidt, twice against rounding. What has no direction of its own left becomes zero.</summary>
    private static void Orthonormalise(Span<float> columns, int rank, SimdLevel level)
    {
        var tokens = columns.Length / rank;
        for (var column = 0; column < rank; column++)
        {
            var own = columns.Slice(column * tokens, tokens);
            var before = MathF.Sqrt(Scaling.Dot(own, own, level));
            for (var pass = 0; pass < 2; pass++)
            {
                for (var other = 0; other < column; other++)
                {
                    var direction = columns.Slice(other * tokens, tokens);
                    Scaling.AddScaled(own, direction, -Scaling.Dot(own, direction, level), level);
                }
            }

            var length = MathF.Sqrt(Scaling.Dot(own, own, level));
            Scaling.Multiply(own, length > LeastLength && length > before * 1e-4f ? 1 / length : 0, level);
        }
    }
}
