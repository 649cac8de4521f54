using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.Numerics;

public sealed class RandomRotationTests
{
    [Theory]
    [InlineData(8)]
    [InlineData(64)]
    [InlineData(128)]
    [InlineData(512)]
    public void Keeps_lengths_and_comes_back(int channels)
    {
        var random = new Random(channels);
        float[] row = [.. Enumerable.Range(0, channels).Select(_ => (float)StripData.Normal(random))];
        var factors = Factors(channels, 5);
        foreach (var level in SimdLevels.OfThisProcessor)
        {
            var turned = row.ToArray();
            RandomRotation.TurnForth(turned, factors, level);
            Assert.Equal(Length(row), Length(turned), 1e-4);
            RandomRotation.TurnBack(turned, factors, level);
            Assert.All(Enumerable.Range(0, channels), channel => Assert.Equal(row[channel], turned[channel], 2e-6f * 4));
        }
    }

    [Fact]
    public void Spreads_one_number_evenly_over_all_channels()
    {
        var row = new float[128];
        row[37] = 1;
        RandomRotation.TurnForth(row, Factors(128, 1), SimdLevel.Scalar);
        Assert.All(row, value => Assert.Equal(1 / Math.Sqrt(128), Math.Abs(value), 1e-7));
    }

    [Fact]
    public void Is_the_same_with_all_instructions_and_other_with_another_seed()
    {
        var random = new Random(3);
        float[] row = [.. Enumerable.Range(0, 256).Select(_ => (float)StripData.Normal(random))];
        float[] Turned(uint seed, SimdLevel level)
        {
            var turned = row.ToArray();
            RandomRotation.TurnForth(turned, Factors(row.Length, seed), level);
            return turned;
        }

        Assert.All(SimdLevels.OfThisProcessor, level => Assert.Equal(Turned(1, SimdLevel.Scalar), Turned(1, level)));
        Assert.NotEqual(Turned(1, SimdLevel.Scalar), Turned(2, SimdLevel.Scalar));
    }

    private static float[] Factors(int channels, uint seed)
    {
        var factors = new float[channels];
        RandomRotation.FillFactors(seed, factors);
        return factors;
    }

    private static double Length(float[] row) => Math.Sqrt(row.Sum(value => (double)value * value));
}
