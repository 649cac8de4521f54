using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Gear;
using KvMesh.Codecs.Kivi;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.NonUniform;

namespace KvMesh.Codecs.Tests.Gear;

public sealed class GearCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [.. GearCodec.Family.Presets, new GearCodec(4, 32, 0, 0), new GearCodec(2, 32, 3, 500)];

    protected override IEnumerable<KvCodec[]> ByRisingBits =>
    [
        [new GearCodec(2, 64, 4, 200), new GearCodec(4, 64, 4, 200), new GearCodec(8, 64, 4, 200)],
        [new GearCodec(2, 64, 0, 0), new GearCodec(2, 64, 2, 0), new GearCodec(2, 64, 8, 0), new GearCodec(2, 64, 32, 0)],
    ];

    protected override int? StripBytes(KvCodec codec, StripShape shape)
    {
        var gear = (GearCodec)codec;
        var grid = gear.Grid(shape.Kind);
        var vectors = Vectors.Of(shape, gear.Outliers, gear.Outliers);
        return (shape.Elements * grid.Bits / 8) + (shape.Elements / grid.Group * 4) + (vectors.Count * vectors.Apart * 2 * 4) + (2 * gear.Rank * (shape.Tokens + shape.Channels));
    }

    /// <summary>No more than groups alone may lose of the whole strip.</summary>
    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded)
    {
        var (shape, grid) = (strip.Shape, ((GearCodec)codec).Grid(strip.Shape.Kind));
        double errors = 0, slack = 0;
        var (least, most) = ((double)strip.Values.Min(), (double)strip.Values.Max());
        for (var index = 0; index < decoded.Length; index++)
        {
            errors += Math.Pow((double)strip.Values[index] - decoded[index], 2);
            slack += Math.Pow(Ulp(shape.Element, strip.Values[index]) + Ulp(shape.Element, decoded[index]) + 1e-5 + (Math.Abs(strip.Values[index]) / 1024), 2);
        }

        var bound = ((most - least) / grid.Steps / 2 * 1.02 * Math.Sqrt(decoded.Length)) + Math.Sqrt(slack);
        Assert.True(Math.Sqrt(errors) <= bound, $"{codec} on {strip}: error {Math.Sqrt(errors)}, bound {bound}");
    }

    [Theory]
    [InlineData(PlaneKind.Key)]
    [InlineData(PlaneKind.Value)]
    public void Loses_less_than_its_groups_alone(PlaneKind kind)
    {
        var strip = StripData.Keys(StripData.ShapeOf(256, 128, KvElement.BFloat16, kind), 21);
        Assert.True(Error(new GearCodec(2, 64, 4, 0), strip) < Error(new KiviCodec(2, 2, 64), strip));
        Assert.True(Error(new GearCodec(2, 64, 0, 200), strip) < Error(new KiviCodec(2, 2, 64), strip));
    }

    [Fact]
    public void As_many_columns_as_channels_leave_next_to_nothing()
    {
        var strip = StripData.Noise(StripData.ShapeOf(64, 32), 22);
        Assert.InRange(Error(new GearCodec(2, 32, 32, 0), strip), 0, 0.01);
    }

    [Fact]
    public void The_farthest_numbers_come_back_exactly()
    {
        var strip = StripData.Of("far", StripData.ShapeOf(64, 64), (token, channel) => token == (channel * 5) % 64 ? 100 + channel : Math.Sin((token * 3) + channel));
        var decoded = Singles(strip.Shape, Decode(new GearCodec(2, 32, 2, 400), strip.Shape, Encode(new GearCodec(2, 32, 2, 400), strip, new CodecScratch()), new CodecScratch()));
        Assert.All(Enumerable.Range(0, 64), channel => Assert.Equal(strip.Values[(channel * 5 % 64 * 64) + channel], decoded[(channel * 5 % 64 * 64) + channel]));
    }

    [Fact]
    public void Refuses_what_it_cannot_write()
    {
        Assert.Throws<ArgumentException>(() => new GearCodec(3, 64, 4, 200));
        Assert.Throws<ArgumentException>(() => new GearCodec(4, 64, 33, 200));
        Assert.Throws<ArgumentException>(() => new GearCodec(4, 64, 4, 2001));
    }

    private static double Error(KvCodec codec, StripData strip) =>
        RelativeError(strip.Values, Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch())));
}
