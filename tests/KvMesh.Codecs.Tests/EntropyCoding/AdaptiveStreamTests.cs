using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Tests.EntropyCoding;

public sealed class AdaptiveStreamTests
{
    public static IEnumerable<short[]> Numbers(int channels)
    {
        var random = new Random(8);
        foreach (var rows in new[] { 1, 2, 9, 256 })
        {
            var count = rows * channels;
            yield return new short[count];
            yield return [.. Enumerable.Range(0, count).Select(index => (short)((index % channels) - (channels / 2)))];
            yield return [.. Enumerable.Range(0, count).Select(index => (short)Math.Round((index % channels % 9) + ((1 + (index % channels)) / 8.0 * StripData.Normal(random))))];
            yield return [.. Enumerable.Range(0, count).Select(index => (short)(index % 97 == 5 ? random.Next(short.MinValue, short.MaxValue) : random.Next(-3, 4)))];
        }
    }

    [Theory]
    [InlineData(8)]
    [InlineData(33)]
    [InlineData(128)]
    public void What_goes_in_comes_out_with_all_instructions(int channels)
    {
        foreach (var numbers in Numbers(channels))
        {
            var expected = Encode(numbers, channels, SimdLevel.Scalar);
            foreach (var level in SimdLevels.OfThisProcessor)
            {
                Assert.Equal(expected, Encode(numbers, channels, level));
                var decoded = new short[numbers.Length];
                Assert.True(expected.Length == 0 || AdaptiveStream.TryDecode(expected, channels, decoded, new CodecScratch(level)), $"{numbers.Length} numbers of {channels} channels");
                Assert.True(expected.Length == 0 || decoded.AsSpan().SequenceEqual(numbers));
            }
        }
    }

    /// <summary>Nobody tells it means and spreads, and still it takes what one who knew them would, and little more.</summary>
    [Theory]
    [InlineData(0.4)]
    [InlineData(1)]
    [InlineData(4)]
    public void Takes_the_entropy_of_each_channel_and_little_more(double spread)
    {
        const int Channels = 128;
        const int Rows = 256;
        var random = new Random(9);
        double[] means = [.. Enumerable.Range(0, Channels).Select(_ => 4 * StripData.Normal(random))];
        short[] numbers = [.. Enumerable.Range(0, Rows * Channels).Select(index => (short)Math.Round(means[index % Channels] + (spread * StripData.Normal(random))))];
        var entropy = means.Average(mean => Entropy(mean, spread));
        Assert.InRange(Encode(numbers, Channels, SimdLevels.Best).Length * 8.0 / numbers.Length, entropy * 0.98, (entropy * 1.02) + 0.1);
    }

    [Fact]
    public void Every_law_has_a_symbol_for_what_lies_beyond_it() =>
        Assert.All(RunningLaw.Tables.Frequencies, law =>
        {
            Assert.True(law[RunningLaw.Escape] > 0);
            Assert.Equal(SymbolFrequencies.Total, law.Sum(frequency => frequency));
        });

    [Theory]
    [InlineData(0f, 0.0001f, 1.02)]
    [InlineData(0.5f, 0.25f, 1.1)]
    [InlineData(0.2f, 1f, 1.02)]
    [InlineData(-0.3f, 30f, 1.02)]
    public void The_chosen_law_fits(float mean, float variance, double factor)
    {
        var law = RunningLaw.Tables.Frequencies[RunningLaw.Choose(mean, variance)];
        double bits = 0, least = 0, sum = 0;
        double Share(int number) => Math.Exp(-Math.Pow(number - mean, 2) / 2 / Math.Max(variance, 0.02));
        for (var number = -60; number <= 60; number++)
        {
            sum += Share(number);
        }

        for (var number = -60; number <= 60; number++)
        {
            var share = Share(number) / sum;
            if (share > 1e-9)
            {
                bits -= share * Math.Log2(Math.Max(law[number + RunningLaw.Zero], 0.01) / SymbolFrequencies.Total);
                least -= share * Math.Log2(share);
            }
        }

        Assert.InRange(bits, least * 0.99, (least * factor) + 0.03);
    }

    private static double Entropy(double mean, double spread)
    {
        double bits = 0;
        const int Steps = 4000;
        var shares = new Dictionary<double, double>();
        double sum = 0;
        for (var step = -Steps; step <= Steps; step++)
        {
            var distance = 6.0 * step / Steps;
            var share = Math.Exp(-distance * distance / 2);
            var number = Math.Round(mean + (spread * distance));
            shares[number] = shares.GetValueOrDefault(number) + share;
            sum += share;
        }

        foreach (var share in shares.Values)
        {
            bits -= share / sum * Math.Log2(share / sum);
        }

        return bits;
    }

    private static byte[] Encode(short[] numbers, int channels, SimdLevel level)
    {
        var buffer = new byte[AdaptiveStream.MaxBytes(numbers.Length)];
        return buffer[..Math.Max(0, AdaptiveStream.Encode(numbers, channels, buffer, new CodecScratch(level)))];
    }
}
