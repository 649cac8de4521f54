using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Numerics;

public sealed class ProbeSumsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(64)]
    [InlineData(129)]
    [InlineData(5003)]
    public void Sums_are_those_of_their_definitions(int length)
    {
        var random = new Random(length);
        var first = Row(random, length);
        var second = Row(random, length);
        double dot = 0, squares = 0, errors = 0, size = 0;
        for (var at = 0; at < length; at++)
        {
            dot += (double)first[at] * second[at];
            size += Math.Abs((double)first[at] * second[at]);
            squares += (double)first[at] * first[at];
            errors += ((double)first[at] - second[at]) * ((double)first[at] - second[at]);
        }

        Assert.InRange(ProbeSums.Dot(first, second), dot - (1e-4 * size), dot + (1e-4 * size));
        var (ownSquares, ownErrors) = ProbeSums.Compare(first, second);
        Assert.InRange(ownSquares, squares * 0.9999, squares * 1.0001);
        Assert.InRange(ownErrors, errors * 0.9999, errors * 1.0001);

        var sums = (float[])first.Clone();
        ProbeSums.AddScaled(sums, second, 3);
        Assert.Equal(first.Zip(second, (own, added) => own + (added * 3f)), sums);
        sums.AsSpan().Clear();
        ProbeSums.AddSquares(sums, first, second);
        Assert.Equal(first.Zip(second, (own, mean) => (own - mean) * (own - mean)), sums);
    }

    /// <summary>What was measured stands in encoded blocks: it may not depend on the machine.</summary>
    [Fact]
    public void Lanes_are_added_in_one_order()
    {
        float[] first = [.. Enumerable.Range(0, 16).Select(index => index % 8 == 0 ? 1f : 3e-8f * index)];
        var lanes = Enumerable.Range(0, 8).Select(lane => (first[lane] * first[lane]) + (first[lane + 8] * first[lane + 8])).ToArray();
        var expected = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));

        Assert.Equal(expected, ProbeSums.Dot(first, first));
    }

    private static float[] Row(Random random, int length) => [.. Enumerable.Range(0, length).Select(_ => (random.NextSingle() * 4) - 2)];
}
