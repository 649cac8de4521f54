using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.EntropyCoded;

/// <summary>|x − x̂| ≤ step ÷ 2 for steps of a share of each channel's spread; of turned keys, the same for the length of a pair.</summary>
internal static class StepBound
{
    private const double HalfUlp = 1.0 / 2048;
    private const double LeastHalf = 1.0 / (1 << 24);

    public static void Assert(StripData strip, float[] decoded, float share, bool isCentred, bool isUnrotated, Func<KvElement, double, double> ulp)
    {
        var shape = strip.Shape;
        float[] values = [.. strip.Values];
        if (isUnrotated)
        {
            var rotation = shape.Layout.Rotation!;
            var table = new float[rotation.TableLength(shape.Tokens)];
            rotation.FillTable(shape.FirstPosition, shape.Tokens, table);
            rotation.Turn(values, shape.Channels, table, back: true, SimdLevel.Scalar);
        }

        double[] bounds = [.. Enumerable.Range(0, shape.Channels).Select(channel => OfChannel(values, shape.Tokens, shape.Channels, channel, share, isCentred))];
        var half = shape.Channels / 2;
        for (var index = 0; index < decoded.Length; index++)
        {
            var channel = index % shape.Channels;
            var bound = bounds[channel];
            var size = Math.Abs((double)strip.Values[index]);
            if (isUnrotated)
            {
                var partner = channel < half ? channel + half : channel - half;
                bound = Math.Sqrt((bound * bound) + (bounds[partner] * bounds[partner]));
                size += Math.Abs((double)strip.Values[index - channel + partner]);
            }

            var error = Math.Abs((double)strip.Values[index] - decoded[index]);
            if (error > (bound * 1.001) + (size * 1e-5) + ulp(shape.Element, strip.Values[index]) + ulp(shape.Element, decoded[index]))
            {
                Xunit.Assert.Fail($"share {share} on {strip}: {strip.Values[index]} became {decoded[index]}, bound {bound}");
            }
        }
    }

    private static double OfChannel(float[] values, int tokens, int channels, int channel, float share, bool isCentred)
    {
        double sum = 0, squares = 0;
        for (var token = 0; token < tokens; token++)
        {
            sum += values[(token * channels) + channel];
        }

        var mean = isCentred ? sum / tokens : 0;
        for (var token = 0; token < tokens; token++)
        {
            squares += Math.Pow(values[(token * channels) + channel] - mean, 2);
        }

        // A spread that is zero as a half leaves every number at the mean, and so does rounding of the mean move the spread.
        var spread = Math.Sqrt(squares / tokens) + (Math.Abs(mean) * HalfUlp) + LeastHalf;
        return (share * spread / 2 * (1 + (2 * HalfUlp))) + (LeastHalf * Math.Sqrt(tokens)) + (Math.Abs(mean) * 1e-6);
    }
}
