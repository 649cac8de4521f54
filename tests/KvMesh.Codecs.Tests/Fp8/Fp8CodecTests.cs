using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Fp8;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Tests.Fp8;

public sealed class Fp8CodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => Fp8Codec.Family.Presets;

    protected override IEnumerable<KvCodec[]> ByRisingBits =>
        [[new Fp8Codec(KvElement.Fp8E5M2, Fp8Scale.None), new Fp8Codec(KvElement.Fp8E4M3, Fp8Scale.Row)]];

    protected override int? StripBytes(KvCodec codec, StripShape shape) =>
        shape.Elements + (((Fp8Codec)codec).Scale == Fp8Scale.Row ? 2 * shape.Tokens : 0);

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        var fp8 = (Fp8Codec)codec;
        var (relative, subnormal, max) = fp8.Format == KvElement.Fp8E4M3 ? (1.0 / 16, 1.0 / 1024, 448.0) : (1.0 / 8, 1.0 / 131_072, 57_344.0);
        var channels = strip.Shape.Channels;
        for (var index = 0; index < decoded.Length; index++)
        {
            double value = strip.Values[index];
            var largest = strip.Values.AsSpan(index / channels * channels, channels).ToArray().Max(Math.Abs);
            var scale = fp8.Scale == Fp8Scale.Row && largest / max > 1e-36 ? largest / max * 1.01 : 1;
            var expected = fp8.Scale == Fp8Scale.Row ? value : Math.Clamp(value, -max, max);
            var bound = Math.Max(Math.Abs(expected) * relative, subnormal * scale) + Ulp(strip.Shape.Element, value) + Ulp(strip.Shape.Element, decoded[index]);
            if (Math.Abs(expected - decoded[index]) > bound)
            {
                Assert.Fail($"{codec} on {strip}: {value} became {decoded[index]}, bound {bound}");
            }
        }
    }

    [Fact]
    public void What_a_format_holds_comes_back_the_same()
    {
        foreach (var codec in Codecs.Cast<Fp8Codec>().Where(codec => codec.Scale == Fp8Scale.None))
        {
            var strip = StripData.Noise(StripData.ShapeOf(32, 64), 12, 3);
            var once = Encode(codec, strip, new CodecScratch());
            var again = StripData.OfBytes("decoded", strip.Shape, Decode(codec, strip.Shape, once, new CodecScratch()));
            Assert.Equal(once, Encode(codec, again, new CodecScratch()));
        }
    }

    [Fact]
    public void Numbers_beyond_the_format_become_its_largest()
    {
        var strip = StripData.Of("beyond", StripData.ShapeOf(1, 4), (_, channel) => channel == 1 ? 460 : channel == 2 ? -70_000 : 1);
        var e4M3 = new Fp8Codec(KvElement.Fp8E4M3, Fp8Scale.None);
        Assert.Equal([0x38, 0x7E, 0xFE, 0x38], Encode(e4M3, strip, new CodecScratch()));
        var e5M2 = new Fp8Codec(KvElement.Fp8E5M2, Fp8Scale.None);
        Assert.Equal(0xFB, Encode(e5M2, strip, new CodecScratch())[2]);
    }

    [Theory]
    [InlineData(false, 8)]
    [InlineData(true, 8.125)]
    public void Takes_the_published_bits(bool scaled, double bits)
    {
        var shape = StripData.ShapeOf(256, 128);
        Assert.Equal(bits, new Fp8Codec(KvElement.Fp8E4M3, scaled ? Fp8Scale.Row : Fp8Scale.None).MaxStripBytes(shape) * 8.0 / shape.Elements);
    }

    [Fact]
    public void Refuses_formats_that_it_cannot_write() =>
        Assert.Throws<ArgumentException>(() => new Fp8Codec(KvElement.BFloat16, Fp8Scale.Row));
}
