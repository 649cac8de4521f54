using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.CacheGen;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Tests.CacheGen;

public sealed class CacheGenCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [.. CacheGenCodec.Family.Presets, new CacheGenCodec(null, 64, 4, 3, 0), new CacheGenDeltaCodec(3)];

    protected override IEnumerable<KvCodec[]> ByRisingBits =>
    [
        [.. new[] { 8, 16, 32, 64 }.Select(bins => new CacheGenCodec(null, bins, bins, 0, 0))],
        [.. new[] { 2, 1, 0.5f, 0.25f }.Select(step => new CacheGenDeltaCodec(step))],
    ];

    protected override int? StripBytes(KvCodec codec, StripShape shape) => null;

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        var (shape, channels) = (strip.Shape, strip.Shape.Channels);
        var spread = CacheGenDeltaCodec.SpreadOf(strip.Values, channels);
        for (var token = 0; token < shape.Tokens; token++)
        {
            var row = strip.Values.AsSpan(token * channels, channels);
            var largest = Math.Max(Math.Abs((double)row.ToArray().Min()), row.ToArray().Max());
            var bound = codec switch
            {
                CacheGenCodec code => (largest / code.MostStep(shape) / 2 * 1.004) + (largest / 256),
                CacheGenDeltaCodec when token % CacheGenDeltaCodec.AnchorTokens == 0 => (largest / CacheGenDeltaCodec.AnchorSteps / 2 * 1.001) + (largest / 2048) + (CacheGenDeltaCodec.AnchorSteps * 6e-8),
                CacheGenDeltaCodec delta => (spread * delta.StepOf(shape) / 2 * 1.001) + (largest * 1e-6),
                _ => throw new ArgumentException(codec.Name),
            };
            for (var channel = 0; channel < channels; channel++)
            {
                var (value, back) = ((double)row[channel], (double)decoded[(token * channels) + channel]);
                var slack = Ulp(shape.Element, value) + Ulp(shape.Element, back) + 1e-7;
                if (Math.Abs(value - back) > bound + slack)
                {
                    Assert.Fail($"{codec} on {strip}, token {token}: {value} became {back}, bound {bound}");
                }
            }
        }
    }

    /// <summary>M = bins ÷ 2 − 1 steps of the row's largest number on each side of zero.</summary>
    [Fact]
    public void Codes_a_row_as_the_released_code_does()
    {
        float[] values = [-1, 0.5f, 0.25f, 1];
        var codec = CodecRegistry.Standard.Find("cachegen-16")!;
        var strip = StripData.Of("example", StripData.ShapeOf(1, 4, KvElement.Float16, PlaneKind.Value), (_, channel) => values[channel]);
        var decoded = Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch()));

        // −7, 3.5 that rounds to even 4, 1.75 that rounds to 2, and 7.
        Assert.Equal(new[] { -1, 4 / 7.0, 2 / 7.0, 1 }, decoded.Select(value => (double)value), (expected, actual) => Math.Abs(expected - actual) < 5e-4);
    }

    [Theory]
    [InlineData(0, 15, 15)]
    [InlineData(1, 15, 15)]
    [InlineData(2, 15, 7)]
    [InlineData(9, 15, 7)]
    [InlineData(10, 7, 7)]
    public void First_layers_have_the_finer_steps_of_the_released_levels(int layer, int keys, int values)
    {
        var graded = (CacheGenCodec)CodecRegistry.Standard.Find("cachegen-graded")!;
        var shape = StripData.ShapeOf(32, 64) with { Layer = layer };
        Assert.Equal(keys, graded.MostStep(shape));
        Assert.Equal(values, graded.MostStep(shape with { Kind = PlaneKind.Value }));
    }

    [Fact]
    public void Graded_deltas_have_wider_steps_in_later_thirds()
    {
        var layout = new KvLayout(KvElement.BFloat16, 32, [.. Enumerable.Repeat(LayerLayout.Full(1, 64), 6)]);
        var graded = new CacheGenDeltaCodec(0.5f, isGraded: true);
        var steps = Enumerable.Range(0, 6).Select(layer => graded.StepOf(new StripShape(layout, layer, PlaneKind.Key, 0, 32, 64, KvElement.BFloat16, 0)));
        Assert.Equal([0.5f, 0.5f, 0.75f, 0.75f, 1, 1], steps);
    }

    [Fact]
    public void Tokens_that_resemble_their_anchor_cost_little()
    {
        var random = new Random(3);
        var shape = StripData.ShapeOf(250, 64, KvElement.BFloat16, PlaneKind.Value);
        var slow = StripData.Of("alike", shape, (token, channel) => (5 * Math.Sin((token / 10) + channel)) + (0.05 * StripData.Normal(random)));
        var delta = CodecRegistry.Standard.Find("cachegen-delta-0.5")!;
        Assert.InRange(RelativeError(slow.Values, Singles(shape, Decode(delta, shape, Encode(delta, slow, new CodecScratch()), new CodecScratch()))), 0, 0.006);
        Assert.InRange(Encode(delta, slow, new CodecScratch()).Length * 8.0 / shape.Elements, 0.8 + 2.5, 0.8 + 3.5);
    }

    [Fact]
    public void Refuses_what_it_cannot_write()
    {
        Assert.Throws<ArgumentException>(() => new CacheGenCodec(null, 15, 16, 0, 0));
        Assert.Throws<ArgumentException>(() => new CacheGenCodec(null, 16, 66, 0, 0));
        Assert.Throws<ArgumentException>(() => new CacheGenCodec(null, 16, 16, 256, 0));
        Assert.Throws<ArgumentException>(() => new CacheGenDeltaCodec(0.01f));
        Assert.Throws<ArgumentException>(() => new CacheGenDeltaCodec(float.NaN));
    }
}
