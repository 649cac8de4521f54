using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Tests.Uniform;

/// <summary>|x − x̂| ≤ step / 2, and what rounding of scale, zero point and result may add; of turned keys, the same for the length of a pair.</summary>
internal static class UniformBound
{
    // Half the distance of neighbouring halves, relative to their value, and of the smallest ones.
    private const double HalfUlp = 1.0 / 2048;
    private const double LeastHalf = 1.0 / (1 << 24);

    public static void Assert(UniformGrid grid, StripData strip, float[] decoded, Func<KvElement, double, double> ulp, bool isTurned = false)
    {
        var shape = strip.Shape;
        var bounds = Of(grid, isTurned ? TurnedBack(strip) : strip.Values, shape.Tokens, shape.Channels, grid.GroupLength(shape));
        for (var index = 0; index < decoded.Length; index++)
        {
            var bound = bounds[index];
            if (isTurned)
            {
                var half = shape.Channels / 2;
                var partner = index % shape.Channels < half ? index + half : index - half;
                bound = Math.Sqrt((bound * bound) + (bounds[partner] * bounds[partner])) + ((Math.Abs((double)strip.Values[index]) + Math.Abs((double)strip.Values[partner])) * 1e-5);
            }

            var error = Math.Abs((double)strip.Values[index] - decoded[index]);
            if (error > (bound * 1.0001) + ulp(shape.Element, strip.Values[index]) + ulp(shape.Element, decoded[index]))
            {
                Xunit.Assert.Fail($"{grid.Name} on {strip}: {strip.Values[index]} became {decoded[index]}, bound {bound}");
            }
        }
    }

    /// <summary>The bound of each element.</summary>
    private static double[] Of(UniformGrid grid, float[] values, int tokens, int channels, int length)
    {
        var bounds = new double[values.Length];
        foreach (var group in Groups(grid, tokens, channels, length))
        {
            double least = double.MaxValue, most = double.MinValue;
            foreach (var index in group)
            {
                least = Math.Min(least, values[index]);
                most = Math.Max(most, values[index]);
            }

            var largest = Math.Max(Math.Abs(least), Math.Abs(most));
            var step = grid.IsSymmetric ? largest / grid.Bias : (most - least) / grid.Steps;
            var bound = (step / 2) + (grid.Steps * ((step * HalfUlp) + LeastHalf)) + (grid.IsSymmetric ? 0 : (Math.Abs(least) * HalfUlp) + LeastHalf);
            foreach (var index in group)
            {
                bounds[index] = bound;
            }
        }

        return bounds;
    }

    private static float[] TurnedBack(StripData strip)
    {
        var (shape, rotation) = (strip.Shape, strip.Shape.Layout.Rotation!);
        float[] values = [.. strip.Values];
        var table = new float[rotation.TableLength(shape.Tokens)];
        rotation.FillTable(shape.FirstPosition, shape.Tokens, table);
        rotation.Turn(values, shape.Channels, table, back: true, SimdLevel.Scalar);
        return values;
    }

    private static IEnumerable<int[]> Groups(UniformGrid grid, int tokens, int channels, int length) =>
        grid.Axis == GroupAxis.Token
            ? from first in Enumerable.Range(0, tokens * channels / length) select Enumerable.Range(first * length, length).ToArray()
            : from first in Enumerable.Range(0, tokens / length)
              from channel in Enumerable.Range(0, channels)
              select Enumerable.Range(0, length).Select(token => (((first * length) + token) * channels) + channel).ToArray();
}
