using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Turbo;

namespace KvMesh.Codecs.Tests.Turbo;

public sealed class TurboCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [.. TurboCodec.Family.Presets, new TurboCodec(1, false), new TurboCodec(3, true, 99)];

    protected override IEnumerable<KvCodec[]> ByRisingBits => [[.. new[] { 1, 2, 3, 4 }.Select(bits => new TurboCodec(bits, false))]];

    protected override int? StripBytes(KvCodec codec, StripShape shape)
    {
        var turbo = (TurboCodec)codec;
        return (shape.Elements * turbo.Bits / 8) + (2 * shape.Tokens) + (turbo.Centres(shape.Kind) ? 2 * shape.Channels : 0);
    }

    // Whatever the direction, each number of unit size is at most as far from its level as the length of the row is from the first one.
    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded) =>
        RowBound.Assert(strip, decoded, 1.05, ((TurboCodec)codec).Centres(strip.Shape.Kind), Ulp);

    /// <summary>The loss of the levels of Lloyd and Max on normal numbers.</summary>
    [Theory]
    [InlineData(1, .3634)]
    [InlineData(2, .11748)]
    [InlineData(3, .03455)]
    [InlineData(4, .00950)]
    public void Loses_the_published_share_of_normal_numbers(int bits, double meanSquare)
    {
        var codec = new TurboCodec(bits, false);
        var strip = StripData.Noise(StripData.ShapeOf(512, 128), 31);
        var error = RelativeError(strip.Values, Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch())));
        Assert.InRange(error * error, meanSquare * 0.97, meanSquare * 1.03);
    }

    [Fact]
    public void Takes_the_bits_and_a_half_for_each_row()
    {
        var shape = StripData.ShapeOf(256, 128, KvElement.BFloat16, PlaneKind.Value);
        Assert.Equal(3.125, new TurboCodec(3, true).MaxStripBytes(shape) * 8.0 / shape.Elements);
    }

    [Fact]
    public void A_direction_does_not_depend_on_the_length()
    {
        var codec = new TurboCodec(3, false);
        var shape = StripData.ShapeOf(32, 64);
        var strip = StripData.Noise(shape, 4);
        var longer = StripData.Of("four times", shape, (token, channel) => 4 * strip.Values[(token * 64) + channel]);
        var (first, second) = (Encode(codec, strip, new CodecScratch()), Encode(codec, longer, new CodecScratch()));
        Assert.Equal(first[(2 * 32)..], second[(2 * 32)..]);
    }

    [Fact]
    public void Refuses_bits_that_it_has_no_levels_for()
    {
        Assert.Throws<ArgumentException>(() => new TurboCodec(0, false));
        Assert.Throws<ArgumentException>(() => new TurboCodec(5, false));
    }
}
