using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.LowRank;

namespace KvMesh.Codecs.Tests.LowRank;

public sealed class LowRankCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [.. LowRankCodec.Family.Presets, new LowRankCodec(3)];

    protected override IEnumerable<KvCodec[]> ByRisingBits => [[new LowRankCodec(4), new LowRankCodec(16), new LowRankCodec(32), new LowRankCodec(64)]];

    // Small ones: what a product takes to find grows with all three of its measures.
    protected override IEnumerable<StripShape> Shapes(KvCodec codec) =>
        base.Shapes(codec).Skip(1).Append(StripData.ShapeOf(64, 64, KvElement.BFloat16, PlaneKind.Key));

    protected override int? StripBytes(KvCodec codec, StripShape shape) =>
        2 * Math.Min(((LowRankCodec)codec).Rank, Math.Min(shape.Tokens, shape.Channels)) * (shape.Tokens + shape.Channels);

    /// <summary>A projection leaves no more than there was.</summary>
    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        double errors = 0, squares = 0, slack = 0;
        for (var index = 0; index < decoded.Length; index++)
        {
            errors += Math.Pow((double)strip.Values[index] - decoded[index], 2);
            squares += Math.Pow(strip.Values[index], 2);
            slack += Math.Pow(Ulp(strip.Shape.Element, strip.Values[index]) + Ulp(strip.Shape.Element, decoded[index]) + 1e-5, 2);
        }

        Assert.True(Math.Sqrt(errors) <= (1.01 * Math.Sqrt(squares)) + Math.Sqrt(slack), $"{codec} on {strip}: error {Math.Sqrt(errors)} of {Math.Sqrt(squares)}");
    }

    /// <summary>By Eckart and Young no product of this rank leaves less than the squares of the singular values behind it.</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void Leaves_what_lies_behind_the_rank(int rank)
    {
        const int Channels = 64;
        var shape = StripData.ShapeOf(64, Channels, KvElement.BFloat16, PlaneKind.Value);

        // Cosines are orthogonal in both directions, so that weights are the singular values but for a factor.
        static double Wave(int place, int frequency) => Math.Cos(Math.PI * (place + 0.5) * (frequency + 1) / 64);
        var weights = Enumerable.Range(0, 16).Select(index => Math.Pow(0.6, index)).ToArray();
        var strip = StripData.Of("waves", shape, (token, channel) => weights.Select((weight, index) => weight * Wave(token, index) * Wave(channel, index)).Sum());
        var error = Error(new LowRankCodec(rank), strip);
        var expected = Math.Sqrt(weights.Skip(rank).Sum(weight => weight * weight) / weights.Sum(weight => weight * weight));
        Assert.InRange(error, expected * 0.9, (expected * 1.05) + 0.004);
    }

    [Fact]
    public void As_many_columns_as_channels_give_all_back()
    {
        var strip = StripData.Noise(StripData.ShapeOf(64, 32), 22);
        Assert.InRange(Error(new LowRankCodec(32), strip), 0, 0.004);
    }

    [Fact]
    public void Refuses_a_rank_that_it_cannot_write()
    {
        Assert.Throws<ArgumentException>(() => new LowRankCodec(0));
        Assert.Throws<ArgumentException>(() => new LowRankCodec(257));
    }

    private static double Error(KvCodec codec, StripData strip) =>
        RelativeError(strip.Values, Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch())));
}
