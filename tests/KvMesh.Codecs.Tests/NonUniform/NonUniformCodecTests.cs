using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.NonUniform;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Tests.NonUniform;

public sealed class NonUniformCodecTests : KvCodecContract
{
    private static readonly float[] Even = [.. Enumerable.Range(0, 16).Select(level => -1 + (level * 2 / 15f))];

    protected override IEnumerable<KvCodec> Codecs =>
    [
        .. NonUniformCodec.Family.Presets, new NonUniformCodec(null, Even, Even, 0, 0, unrotated: false),
        new NonUniformCodec(null, [-0.5f, 0.5f], [-0.4f, 0.4f], 2000, 500, unrotated: false),
    ];

    protected override IEnumerable<KvCodec[]> ByRisingBits => [Row("post"), Row("1pct")];

    protected override int? StripBytes(KvCodec codec, StripShape shape)
    {
        var nuq = (NonUniformCodec)codec;
        var vectors = Vectors.Of(shape, nuq.KeyOutliers, nuq.ValueOutliers);
        var outlier = vectors.Length <= 256 ? 3 : 4;
        return (shape.Elements * nuq.Bits / 8) + (4 * vectors.Count) + (vectors.Count * vectors.Apart * 2 * outlier);
    }

    // Between the extremes a number is at most half the widest gap off, or what is left to the first and last level; turned keys are pairs of it.
    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        var nuq = (NonUniformCodec)codec;
        var levels = nuq.Levels(strip.Shape.Kind).ToArray();
        var gap = levels.Skip(1).Zip(levels, (upper, lower) => (upper - lower) / 2).Append(1 + levels[0]).Append(1 - levels[^1]).Max();
        var isTurned = nuq.IsUnrotated && strip.Shape.Kind == PlaneKind.Key;
        var (channels, vectors) = (strip.Shape.Channels, Vectors.Of(strip.Shape, nuq.KeyOutliers, nuq.ValueOutliers));
        for (var index = 0; index < decoded.Length; index++)
        {
            var bound = isTurned ? 2 * gap * Length(strip, index) : gap * HalfRange(strip, vectors, vectors.AreChannels ? index % channels : index / channels);
            var error = Math.Abs((double)strip.Values[index] - decoded[index]);
            var size = isTurned ? Length(strip, index) : Math.Abs(strip.Values[index]) + bound;
            var slack = Ulp(strip.Shape.Element, strip.Values[index]) + Ulp(strip.Shape.Element, decoded[index]) + (size / 512) + 1e-6;
            Assert.True(error <= (bound * 1.01) + slack, $"{codec} on {strip}: {strip.Values[index]} became {decoded[index]}, bound {bound}");
        }
    }

    [Fact]
    public void Even_levels_without_outliers_are_uniform_groups()
    {
        var even = new NonUniformCodec(null, Even, Even, 0, 0, unrotated: false);
        var uniform = new UniformCodec(null, new(GroupAxis.Channel, 4, 0, false), new(GroupAxis.Token, 4, 0, false));
        foreach (var kind in new[] { PlaneKind.Key, PlaneKind.Value })
        {
            var strip = StripData.Keys(StripData.ShapeOf(256, 128, KvElement.BFloat16, kind), 5);
            double Error(KvCodec codec) =>
                RelativeError(strip.Values, Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch())));
            Assert.InRange(Error(even) / Error(uniform), 0.98, 1.02);
        }
    }

    [Fact]
    public void The_farthest_numbers_of_each_channel_come_back_exactly()
    {
        var codec = new NonUniformCodec(null, [-0.5f, 0.5f], [-0.4f, 0.4f], 100, 0, unrotated: false);
        var strip = StripData.Noise(StripData.ShapeOf(256, 64), 9);
        var decoded = Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch()));
        for (var channel = 0; channel < 64; channel++)
        {
            var tokens = Enumerable.Range(0, 256).ToArray();
            foreach (var token in new[] { tokens.MinBy(token => strip.Values[(token * 64) + channel]), tokens.MaxBy(token => strip.Values[(token * 64) + channel]) })
            {
                Assert.Equal(strip.Values[(token * 64) + channel], decoded[(token * 64) + channel]);
            }
        }
    }

    [Fact]
    public void Refuses_levels_and_outliers_that_it_cannot_write()
    {
        Assert.Throws<ArgumentException>(() => new NonUniformCodec(null, [-1, 1], Even, 0, 0, false));
        Assert.Throws<ArgumentException>(() => new NonUniformCodec(null, [1, -1], [-1, 1], 0, 0, false));
        Assert.Throws<ArgumentException>(() => new NonUniformCodec(null, Even, Even, 2001, 0, false));
    }

    private static KvCodec[] Row(string kind) => [.. new[] { 2, 3, 4 }.Select(bits => CodecRegistry.Standard.Find($"nuq{bits}-{kind}")!)];

    private static double HalfRange(StripData strip, in Vectors vectors, int index)
    {
        double least = double.MaxValue, most = double.MinValue;
        for (var place = 0; place < vectors.Length; place++)
        {
            var value = strip.Values[vectors.AreChannels ? (place * strip.Shape.Channels) + index : (index * strip.Shape.Channels) + place];
            (least, most) = (Math.Min(least, value), Math.Max(most, value));
        }

        return (most - least) / 2;
    }

    /// <summary>The greatest length of a pair of channels over all tokens: what a channel without positions can be at most.</summary>
    private static double Length(StripData strip, int index)
    {
        var channel = index % (strip.Shape.Channels / 2);
        double most = 0;
        for (var at = channel; at < strip.Values.Length; at += strip.Shape.Channels)
        {
            most = Math.Max(most, Math.Sqrt(Math.Pow(strip.Values[at], 2) + Math.Pow(strip.Values[at + (strip.Shape.Channels / 2)], 2)));
        }

        return most;
    }
}
