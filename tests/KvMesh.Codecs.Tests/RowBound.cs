using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Tests;

/// <summary>For codecs that turn rows: the error of a row is at most a share of its length, whatever single elements do.</summary>
internal static class RowBound
{
    private const double LeastHalf = 1.0 / (1 << 24);

    /// <param name="strip">What was coded.</param>
    /// <param name="decoded">What came back.</param>
    /// <param name="share">Most error of a row in lengths of the row, without the means of its channels where those are taken out.</param>
    /// <param name="isCentred">Whether they are.</param>
    /// <param name="ulp">Distance of neighbours of a format at a value.</param>
    public static void Assert(StripData strip, float[] decoded, double share, bool isCentred, Func<KvElement, double, double> ulp)
    {
        var shape = strip.Shape;
        var means = new double[shape.Channels];
        for (var index = 0; isCentred && index < strip.Values.Length; index++)
        {
            means[index % shape.Channels] += strip.Values[index] / shape.Tokens;
        }

        for (var token = 0; token < shape.Tokens; token++)
        {
            double squares = 0, errors = 0, slack = 0;
            for (var channel = 0; channel < shape.Channels; channel++)
            {
                var index = (token * shape.Channels) + channel;
                squares += Math.Pow(strip.Values[index] - means[channel], 2);
                errors += Math.Pow((double)strip.Values[index] - decoded[index], 2);
                slack += Math.Pow(ulp(shape.Element, strip.Values[index]) + ulp(shape.Element, decoded[index]) + LeastHalf + (Math.Abs(means[channel]) * 1e-3), 2);
            }

            var bound = (share * Math.Sqrt(squares)) + Math.Sqrt(slack) + (16 * LeastHalf * Math.Sqrt(shape.Channels));
            if (Math.Sqrt(errors) > bound * 1.001)
            {
                Xunit.Assert.Fail($"{strip}, row {token}: error {Math.Sqrt(errors)}, bound {bound}");
            }
        }
    }
}
