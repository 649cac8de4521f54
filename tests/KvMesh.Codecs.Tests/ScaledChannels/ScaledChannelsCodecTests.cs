using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.ScaledChannels;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Tests.ScaledChannels;

public sealed class ScaledChannelsCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [.. ScaledChannelsCodec.Family.Presets, new ScaledChannelsCodec(null, new(GroupAxis.Token, 2, 32, false))];

    protected override IEnumerable<KvCodec[]> ByRisingBits =>
        [[.. new[] { 2, 4, 8 }.Select(bits => new ScaledChannelsCodec(null, new(GroupAxis.Token, bits, 32, false)))]];

    protected override int? StripBytes(KvCodec codec, StripShape shape)
    {
        var grid = ((ScaledChannelsCodec)codec).Grid;
        var groups = shape.Elements / (grid.Group > 0 ? grid.Group : shape.Channels);
        return (shape.Elements * grid.Bits / 8) + (groups * (grid.IsSymmetric ? 2 : 4)) + (shape.Channels * (shape.Kind == PlaneKind.Key ? 4 : 2));
    }

    // Divided by the root of its largest number, a channel reaches that root at most: steps are those of the largest root, times the channel's own.
    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        var grid = ((ScaledChannelsCodec)codec).Grid;
        var (tokens, channels) = (strip.Shape.Tokens, strip.Shape.Channels);
        double[] means = [.. Enumerable.Range(0, channels).Select(channel => strip.Shape.Kind == PlaneKind.Key ? Column(strip, channel).Average() : 0)];
        double[] roots = [.. Enumerable.Range(0, channels).Select(channel => Math.Sqrt(Column(strip, channel).Max(value => Math.Abs(value - means[channel]))))];
        var step = 2.02 * roots.Max() / grid.Steps;
        for (var index = 0; index < tokens * channels; index++)
        {
            var channel = index % channels;
            var bound = (step * (roots[channel] + 1e-3) / 2) + (Math.Abs(means[channel]) / 1024) + 1e-4;
            var error = Math.Abs((double)strip.Values[index] - decoded[index]);
            var slack = Ulp(strip.Shape.Element, strip.Values[index]) + Ulp(strip.Shape.Element, decoded[index]) + (roots[channel] * roots.Max() / 512);
            if (error > (bound * 1.01) + slack)
            {
                Assert.Fail($"{codec} on {strip}: {strip.Values[index]} became {decoded[index]}, bound {bound}");
            }
        }
    }

    /// <summary>4 + 16 ÷ T + 32 ÷ C of ZipCache, and 16 ÷ T more for the means of keys.</summary>
    [Theory]
    [InlineData(PlaneKind.Value, 4.3125)]
    [InlineData(PlaneKind.Key, 4.375)]
    public void Takes_the_published_bits(PlaneKind kind, double bits)
    {
        var shape = StripData.ShapeOf(256, 128, KvElement.BFloat16, kind);
        Assert.Equal(bits, CodecRegistry.Standard.Find("scaled-int4")!.MaxStripBytes(shape) * 8.0 / shape.Elements);
    }

    [Fact]
    public void Scales_beyond_halves_are_not_coded()
    {
        var strip = StripData.Of("huge", StripData.ShapeOf(32, 64), (token, channel) => token == channel ? 1e30 : 1);
        Assert.All(Codecs, codec => Assert.Equal(KvCodec.NotCoded, codec.Encode(strip.Shape, strip.Source, new byte[codec.MaxStripBytes(strip.Shape)], new CodecScratch())));
    }

    [Fact]
    public void Offsets_of_channels_stretch_no_group()
    {
        var strip = StripData.Keys(StripData.ShapeOf(256, 128), 14);
        Assert.True(Error(CodecRegistry.Standard.Find("scaled-int4")!, strip) < 0.6 * Error(CodecRegistry.Standard.Find("int4-g128")!, strip));
    }

    [Fact]
    public void A_constant_on_a_channel_of_keys_changes_no_error()
    {
        var codec = CodecRegistry.Standard.Find("scaled-int4")!;
        var plain = StripData.Noise(StripData.ShapeOf(64, 64, KvElement.Float16), 15);
        var moved = StripData.Of("moved", plain.Shape, (token, channel) => plain.Values[(token * 64) + channel] + (channel == 9 ? 8 : 0));
        Assert.InRange(Absolute(codec, moved) / Absolute(codec, plain), 0.98, 1.02);
    }

    [Fact]
    public void Refuses_groups_along_channels() =>
        Assert.Throws<ArgumentException>(() => new ScaledChannelsCodec(null, new(GroupAxis.Channel, 4, 32, false)));

    private static IEnumerable<double> Column(StripData strip, int channel) =>
        Enumerable.Range(0, strip.Shape.Tokens).Select(token => (double)strip.Values[(token * strip.Shape.Channels) + channel]);

    private static double Error(KvCodec codec, StripData strip) =>
        RelativeError(strip.Values, Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch())));

    private static double Absolute(KvCodec codec, StripData strip) => Error(codec, strip) * Math.Sqrt(strip.Values.Sum(value => (double)value * value));
}
