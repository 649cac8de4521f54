using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Rotated;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Tests.Rotated;

public sealed class RotatedCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs =>
    [
        .. RotatedCodec.Family.Presets, new RotatedCodec(null, new(GroupAxis.Token, 2, 32, false), true, 7), new RotatedCodec(null, new(GroupAxis.Token, 8, 0, true), false),
    ];

    protected override IEnumerable<KvCodec[]> ByRisingBits =>
        [[.. new[] { 2, 4, 8 }.Select(bits => new RotatedCodec(null, new(GroupAxis.Token, bits, 32, false), false))]];

    protected override int? StripBytes(KvCodec codec, StripShape shape)
    {
        var (rotated, grid) = ((RotatedCodec)codec, ((RotatedCodec)codec).Grid);
        var groups = shape.Elements / (grid.Group > 0 ? grid.Group : shape.Channels);
        return (shape.Elements * grid.Bits / 8) + (groups * (grid.IsSymmetric ? 2 : 4)) + (rotated.Centres(shape.Kind) ? 2 * shape.Channels : 0);
    }

    // The range of a group is at most twice the length of the row, its step that over the steps, and each number is half a step off.
    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        var rotated = (RotatedCodec)codec;
        var share = Math.Sqrt(strip.Shape.Channels) / rotated.Grid.Steps * 1.01;
        RowBound.Assert(strip, decoded, share, rotated.Centres(strip.Shape.Kind), Ulp);
    }

    [Fact]
    public void Takes_the_published_bits()
    {
        var codec = CodecRegistry.Standard.Find("hadamard-int4-g128")!;
        Assert.Equal(4.25, codec.MaxStripBytes(StripData.ShapeOf(256, 128)) * 8.0 / (256 * 128));
    }

    [Fact]
    public void Means_of_channels_cost_nothing_once_they_are_taken_out()
    {
        var shape = StripData.ShapeOf(256, 128);
        var strip = StripData.Keys(shape, 3);
        double Error(string name)
        {
            var codec = CodecRegistry.Standard.Find(name)!;
            return RelativeError(strip.Values, Singles(shape, Decode(codec, shape, Encode(codec, strip, new CodecScratch()), new CodecScratch())));
        }

        Assert.True(Error("hadamard-int4-g128-centred") < 0.75 * Error("hadamard-int4-g128"));
    }

    [Fact]
    public void Rows_that_are_no_power_of_two_are_not_coded()
    {
        var strip = StripData.Noise(StripData.ShapeOf(32, 96), 3);
        Assert.All(Codecs, codec => Assert.Equal(KvCodec.NotCoded, codec.Encode(strip.Shape, strip.Source, new byte[strip.Shape.Bytes * 2], new CodecScratch())));
    }

    [Fact]
    public void Refuses_groups_along_channels() =>
        Assert.Throws<ArgumentException>(() => new RotatedCodec(null, new(GroupAxis.Channel, 4, 32, false), false));
}
