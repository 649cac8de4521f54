using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.LayerPairs;

/// <summary>
/// The direction between two rows on the great circle through both (SLERP), on the scale of standard numbers. Additions, multiplications and roots only, so
/// that bytes are the same on every machine.
/// </summary>
internal static class SharedDirection
{
    /// <summary>Below this sine the circle is a line, and the direction is taken on that.</summary>
    private const double LeastSine = 1e-3;

    private const double HalfPi = 1.5707963267948966;

    /// <param name="first">The first row.</param>
    /// <param name="second">The second row.</param>
    /// <param name="lengths">Their lengths.</param>
    /// <param name="share">How far on the way from the first to the second, 0 to 1.</param>
    /// <param name="direction">As long as the rows; its length is the root of that.</param>
    /// <param name="level">Instructions to use.</param>
    /// <returns>The angle between the rows; 0 when one of them is zero.</returns>
    public static float Of(
        ReadOnlySpan<float> first, ReadOnlySpan<float> second, (float First, float Second) lengths, float share, Span<float> direction, SimdLevel level)
    {
        direction.Clear();
        if (lengths.First == 0 || lengths.Second == 0)
        {
            var only = MathF.Max(lengths.First, lengths.Second);
            if (only > 0)
            {
                Scaling.AddScaled(direction, lengths.First == 0 ? second : first, MathF.Sqrt(direction.Length) / only, level);
            }

            return 0;
        }

        var cosine = Math.Clamp((double)Scaling.Dot(first, second, level) / ((double)lengths.First * lengths.Second), -1, 1);
        var angle = ArcCosine(cosine);
        var (sine, _) = SineCosine.Of(angle);
        var (near, far) = sine < LeastSine
            ? (1.0 - share, share)
            : (SineCosine.Of((1.0 - share) * angle).Sine / sine, SineCosine.Of(share * angle).Sine / sine);
        Scaling.AddScaled(direction, first, (float)(near / lengths.First), level);
        Scaling.AddScaled(direction, second, (float)(far / lengths.Second), level);
        var length = MathF.Sqrt(Scaling.SumOfSquares(direction, level));
        if (length > 0)
        {
            Scaling.Multiply(direction, MathF.Sqrt(direction.Length) / length, level);
        }

        return (float)angle;
    }

    /// <summary>Within 2 × 10⁻⁸ (Abramowitz and Stegun, 4.4.46).</summary>
    internal static double ArcCosine(double cosine)
    {
        var x = Math.Abs(cosine);
        double sum = 0;
        for (var term = Terms.Length - 1; term >= 0; term--)
        {
            sum = (sum * x) + Terms[term];
        }

        var angle = Math.Sqrt(1 - x) * sum;
        return cosine < 0 ? (2 * HalfPi) - angle : angle;
    }

    private static ReadOnlySpan<double> Terms =>
        [1.5707963050, -0.2145988016, 0.0889789874, -0.0501743046, 0.0308918810, -0.0170881256, 0.0066700901, -0.0012624911];
}
