using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Kivi;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Tests.Uniform;

namespace KvMesh.Codecs.Tests.Kivi;

public sealed class KiviCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [.. KiviCodec.Family.Presets, new KiviCodec(8, 4, 16)];

    protected override IEnumerable<KvCodec[]> ByRisingBits =>
    [
        [new KiviCodec(2, 2, 64), new KiviCodec(2, 2, 32), new KiviCodec(4, 4, 128), new KiviCodec(4, 4, 64), new KiviCodec(4, 4, 32), new KiviCodec(8, 8, 32)],
    ];

    // A group of values takes 64 channels at most in the small strips of the contract, so that wide groups are tried on the wide one.
    protected override IEnumerable<StripShape> Shapes(KvCodec codec) =>
        base.Shapes(codec).Where(shape => shape.Channels % ((KiviCodec)codec).Grid(PlaneKind.Value).Group == 0);

    protected override int? StripBytes(KvCodec codec, StripShape shape)
    {
        var grid = ((KiviCodec)codec).Grid(shape.Kind);
        return (shape.Elements * grid.Bits / 8) + (shape.Elements / grid.Group * 4);
    }

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded) =>
        UniformBound.Assert(((KiviCodec)codec).Grid(strip.Shape.Kind), strip, decoded, Ulp, ((KiviCodec)codec).IsUnrotated && strip.Shape.Kind == PlaneKind.Key);

    [Theory]
    [InlineData(2, 32, 3.0)]
    [InlineData(2, 64, 2.5)]
    [InlineData(4, 32, 5.0)]
    [InlineData(4, 64, 4.5)]
    [InlineData(4, 128, 4.25)]
    public void Takes_the_published_bits(int bits, int group, double expected)
    {
        var codec = new KiviCodec(bits, bits, group);
        Assert.All(
            new[] { PlaneKind.Key, PlaneKind.Value },
            kind => Assert.Equal(expected, codec.MaxStripBytes(StripData.ShapeOf(256, 128, KvElement.BFloat16, kind)) * 8.0 / (256 * 128)));
    }

    [Fact]
    public void A_channel_with_an_offset_changes_no_other_channel()
    {
        var codec = new KiviCodec(4, 4, 32);
        var shape = StripData.ShapeOf(64, 64);
        var plain = StripData.Noise(shape, 6);
        var offset = StripData.Of("offset", shape, (token, channel) => plain.Values[(token * 64) + channel] + (channel == 9 ? 10 : 0));
        var (first, second) = (Decoded(codec, plain), Decoded(codec, offset));
        Assert.All(Enumerable.Range(0, first.Length).Where(index => index % 64 != 9), index => Assert.Equal(first[index], second[index]));
    }

    [Fact]
    public void Tokens_of_a_group_may_change_places()
    {
        var codec = new KiviCodec(2, 2, 32);
        var shape = StripData.ShapeOf(64, 64);
        var plain = StripData.Keys(shape, 7);
        var turned = StripData.Of("turned", shape, (token, channel) => plain.Values[((token ^ 31) * 64) + channel]);
        var (first, second) = (Decoded(codec, plain), Decoded(codec, turned));
        Assert.All(Enumerable.Range(0, 64), token => Assert.Equal(first[(token * 64)..((token + 1) * 64)], second[((token ^ 31) * 64)..(((token ^ 31) + 1) * 64)]));
    }

    [Fact]
    public void Refuses_grids_that_it_cannot_write()
    {
        Assert.Throws<ArgumentException>(() => new KiviCodec(3, 4, 32));
        Assert.Throws<ArgumentException>(() => new KiviCodec(4, 4, 0));
        Assert.Throws<ArgumentException>(() => new KiviCodec(4, 4, 20));
    }

    private static float[] Decoded(KvCodec codec, StripData strip) =>
        Singles(strip.Shape, Decode(codec, strip.Shape, Encode(codec, strip, new CodecScratch()), new CodecScratch()));
}
