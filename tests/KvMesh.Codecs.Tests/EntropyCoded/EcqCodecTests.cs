using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoded;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Tests.EntropyCoded;

public sealed class EcqCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [.. EcqCodec.Family.Presets, new EcqCodec(0.25f, 0.5f), new EcqCodec(8, 8)];

    protected override IEnumerable<KvCodec[]> ByRisingBits =>
    [
        [new EcqCodec(1.4f, 1.4f), new EcqCodec(1, 1), new EcqCodec(0.7f, 0.7f), new EcqCodec(0.5f, 0.5f), new EcqCodec(0.34f, 0.34f), new EcqCodec(0.17f, 0.17f)],
    ];

    // Values are not centred: on a channel with an offset, an error depends on where the offset lies between two steps.
    protected override StripData ForRisingBits(StripShape shape) => shape.Kind == PlaneKind.Key ? base.ForRisingBits(shape) : StripData.Noise(shape, 11);

    protected override int? StripBytes(KvCodec codec, StripShape shape) => null;

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        var ecq = (EcqCodec)codec;
        var isKey = strip.Shape.Kind == PlaneKind.Key;
        StepBound.Assert(strip, decoded, isKey ? ecq.KeyStep : ecq.ValueStep, isKey, isKey && ecq.IsUnrotated, Ulp);
    }

    /// <summary>Bits of normal numbers in steps of a share of their spread, and two halves for each channel of keys.</summary>
    [Theory]
    [InlineData(0.17f, 4.60)]
    [InlineData(0.34f, 3.60)]
    [InlineData(0.7f, 2.57)]
    [InlineData(1f, 2.10)]
    [InlineData(1.4f, 1.68)]
    public void Takes_the_entropy_of_normal_steps_and_little_more(float step, double entropy)
    {
        var strip = StripData.Noise(StripData.ShapeOf(256, 128), 12);
        var bits = Encode(new EcqCodec(step, step), strip, new CodecScratch()).Length * 8.0 / strip.Shape.Elements;
        Assert.InRange(bits, entropy, (entropy * 1.02) + 0.15);
    }

    [Fact]
    public void A_channel_without_spread_costs_next_to_nothing_and_keeps_its_mean()
    {
        var codec = new EcqCodec(0.5f, 0.5f);
        var strip = StripData.Of("constant channels", StripData.ShapeOf(64, 64), (_, channel) => channel - 20);
        var encoded = Encode(codec, strip, new CodecScratch());
        Assert.Equal(strip.Values, Singles(strip.Shape, Decode(codec, strip.Shape, encoded, new CodecScratch())));
        Assert.InRange(encoded.Length, 0, 400);
    }

    [Fact]
    public void What_lies_beyond_the_steps_comes_back_exactly()
    {
        var codec = new EcqCodec(0.05f, 0.05f);
        var strip = StripData.Of("outliers", StripData.ShapeOf(256, 64), (token, channel) => token == 3 && channel % 8 == 1 ? 1000 + channel : Math.Sin((token * 7) + channel));
        var decoded = Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch()));
        Assert.All(Enumerable.Range(0, 64).Where(channel => channel % 8 == 1), channel => Assert.Equal(strip.Values[(3 * 64) + channel], decoded[(3 * 64) + channel]));
    }

    [Fact]
    public void Small_strips_do_without_a_table_of_their_own()
    {
        var codec = new EcqCodec(0.5f, 0.5f);
        Assert.Equal(0, Encode(codec, StripData.Noise(StripData.ShapeOf(32, 64), 5), new CodecScratch())[0]);
        Assert.Equal(1, Encode(codec, StripData.Of("one value", StripData.ShapeOf(256, 128), (token, _) => token == 0 ? 1 : 0), new CodecScratch())[0]);
    }

    [Fact]
    public void A_table_of_normal_steps_sums_to_the_total_and_falls_on_both_sides()
    {
        foreach (var step in new[] { 0.05f, 0.17f, 1f, 8f })
        {
            var table = NormalFrequencies.Make(step);
            Assert.Equal(SymbolFrequencies.Total, table.Sum(frequency => frequency));

            // What is left over when frequencies are rounded goes to one of the most frequent.
            Assert.InRange(table.Max() - table[NormalFrequencies.Zero], 0, 20);
            Assert.All(Enumerable.Range(1, 126), steps => Assert.InRange(table[NormalFrequencies.Zero + steps] - table[NormalFrequencies.Zero - steps], -20, 20));
        }
    }

    [Theory]
    [InlineData(0.01f, 1f)]
    [InlineData(1f, 9f)]
    [InlineData(float.NaN, 1f)]
    public void Refuses_steps_that_it_cannot_write(float key, float value) => Assert.Throws<ArgumentException>(() => new EcqCodec(key, value));
}
