using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Uniform;

namespace KvMesh.Codecs.Tests.Uniform;

public sealed class UniformCodecTests : KvCodecContract
{
    private static readonly UniformCodec Int2Example = new(null, new(GroupAxis.Token, 2, 0, false), new(GroupAxis.Token, 2, 0, false));

    protected override IEnumerable<KvCodec> Codecs =>
        [.. UniformCodec.Family.Presets, Int2Example, new UniformCodec(null, new(GroupAxis.Channel, 2, 32, true), new(GroupAxis.Token, 4, 16, true))];

    protected override IEnumerable<KvCodec[]> ByRisingBits =>
    [
        [Preset("int2-g32"), Preset("int4-g32"), Preset("int8")],
        [Preset("int4-g128"), Preset("int4-g64"), Preset("int4-g32")],
    ];

    protected override int? StripBytes(KvCodec codec, StripShape shape)
    {
        var grid = Grid(codec, shape.Kind);
        var groups = shape.Elements / (grid.Group > 0 ? grid.Group : grid.Axis == GroupAxis.Token ? shape.Channels : shape.Tokens);
        return (shape.Elements * grid.Bits / 8) + (groups * (grid.IsSymmetric ? 2 : 4));
    }

    protected override bool IsIdempotent(KvCodec codec) => false;

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded) =>
        UniformBound.Assert(Grid(codec, strip.Shape.Kind), strip, decoded, Ulp);

    [Fact]
    public void Codes_the_published_example()
    {
        float[] values = [-1, 0, 0.5f, 2];
        var strip = StripData.Of("example", StripData.ShapeOf(1, 4, KvElement.BFloat16, PlaneKind.Value), (_, channel) => values[channel]);

        var encoded = Encode(Int2Example, strip, new CodecScratch());

        // Scale 1, zero point -1, codes 0, 1, 2 (1.5 rounds to even) and 3.
        Assert.Equal([0x00, 0x3C, 0x00, 0xBC, 0xE4], encoded);
        Assert.Equal([-1, 0, 1, 2], Singles(strip.Shape, Decode(Int2Example, strip.Shape, encoded, new CodecScratch())));
    }

    [Theory]
    [InlineData("int8", 8.125)]
    [InlineData("int4-g32", 5.0)]
    [InlineData("int4-g64", 4.5)]
    [InlineData("int4-g128", 4.25)]
    [InlineData("int2-g32", 3.0)]
    public void Takes_the_published_bits(string name, double bits)
    {
        var shape = StripData.ShapeOf(256, 128);
        Assert.Equal(bits, Preset(name).MaxStripBytes(shape) * 8.0 / shape.Elements);
    }

    [Theory]
    [InlineData("int8", 6.6e-3)]
    [InlineData("int4-g32", 7.8e-2)]
    [InlineData("int2-g32", 0.39)]
    public void Loses_the_published_share_of_normal_numbers(string name, double relative)
    {
        var strip = StripData.Noise(StripData.ShapeOf(256, 128, KvElement.BFloat16, PlaneKind.Value), 77);
        var error = RelativeError(strip.Values, Singles(strip.Shape, Decode(Preset(name), strip.Shape, Encode(Preset(name), strip, new CodecScratch()), new CodecScratch())));
        Assert.InRange(error, relative * 0.95, relative * 1.05);
    }

    [Fact]
    public void Zero_stays_zero_between_steps_of_both_signs()
    {
        var codec = Preset("int8");
        var strip = StripData.Of("zeros among others", StripData.ShapeOf(32, 64), (token, channel) => channel % 3 == 0 ? 0 : Math.Sin(token + channel));
        var decoded = Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch()));
        Assert.All(Enumerable.Range(0, decoded.Length).Where(index => strip.Values[index] == 0), index => Assert.Equal(0, decoded[index]));
    }

    [Fact]
    public void A_range_beyond_halves_is_not_coded()
    {
        var strip = StripData.Of("huge", StripData.ShapeOf(32, 64), (token, channel) => token == channel ? 1e30 : 1);
        foreach (var codec in Codecs)
        {
            Assert.Equal(KvCodec.NotCoded, codec.Encode(strip.Shape, strip.Source, new byte[codec.MaxStripBytes(strip.Shape)], new CodecScratch()));
        }
    }

    [Fact]
    public void Widths_that_do_not_divide_are_not_coded()
    {
        var strip = StripData.Noise(StripData.ShapeOf(32, 40), 3);
        Assert.Equal(KvCodec.NotCoded, Preset("int4-g32").Encode(strip.Shape, strip.Source, new byte[strip.Shape.Bytes * 2], new CodecScratch()));
        Assert.True(Preset("int8").Encode(strip.Shape, strip.Source, new byte[strip.Shape.Bytes * 2], new CodecScratch()) > 0);
    }

    [Theory]
    [InlineData(GroupAxis.Token, 3, 32)]
    [InlineData(GroupAxis.Token, 4, 12)]
    [InlineData(GroupAxis.Channel, 4, 4096)]
    [InlineData((GroupAxis)3, 4, 32)]
    public void Refuses_grids_that_it_cannot_write(GroupAxis axis, int bits, int group) =>
        Assert.Throws<ArgumentException>(() => new UniformCodec(null, new(axis, bits, group, false), new(GroupAxis.Token, 8, 0, true)));

    private static UniformGrid Grid(KvCodec codec, PlaneKind kind) => ((UniformCodec)codec).Grid(kind);

    private static KvCodec Preset(string name) => CodecRegistry.Standard.Find(name) ?? throw new ArgumentException(name);
}
