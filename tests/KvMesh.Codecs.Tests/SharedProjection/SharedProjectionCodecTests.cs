using KvMesh.Codecs.Bases;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.SharedProjection;
using KvMesh.Codecs.Tests.Bases;

namespace KvMesh.Codecs.Tests.SharedProjection;

public sealed class SharedProjectionCodecTests : KvCodecContract
{
    private static readonly CodecRegistry WithBases = CodecRegistry.WithBases(TestBases.OfStrips);

    protected override CodecRegistry Registry => WithBases;

    protected override IEnumerable<KvCodec> Codecs => [Of(8, 8), Of(32, 8), Of(56, 4)];

    protected override IEnumerable<KvCodec[]> ByRisingBits => [[Of(8, 8), Of(32, 8), Of(64, 8), Of(120, 8)], [Of(120, 4), Of(120, 8)]];

    protected override int? StripBytes(KvCodec codec, StripShape shape)
    {
        var (rank, grid) = (((SharedProjectionCodec)codec).Rank, ((SharedProjectionCodec)codec).Grid);
        return shape.Tokens * ((rank * grid.Bits / 8) + (rank / 8 * (grid.IsSymmetric ? 2 : 4)));
    }

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded) =>
        TestBases.AssertLosesNoMoreThanThereWas(strip, decoded, TestBases.OfStrips.Find(new BasisKey(0, strip.Shape.Kind, 0, strip.Shape.Channels))!, 1.1, Ulp);

    [Fact]
    public void What_lies_in_the_kept_directions_comes_back()
    {
        var random = new Random(5);
        var state = new double[6];
        var shape = StripData.ShapeOf(128, 64, KvElement.BFloat16, PlaneKind.Value);
        var strip = StripData.Of("six directions", shape, (_, channel) =>
        {
            for (var factor = 0; channel == 0 && factor < state.Length; factor++)
            {
                state[factor] = StripData.Normal(random);
            }

            return 3 + state.Select((one, factor) => one * Math.Cos((factor + 1) * 0.37 * channel)).Sum();
        });
        var bases = TestBases.Calibrate(strip);
        var codec = new SharedProjectionCodec(bases, 8, 8);
        Assert.InRange(RelativeError(strip.Values, Singles(shape, Decode(codec, shape, Encode(codec, strip, new CodecScratch()), new CodecScratch()))), 0, 0.01);
    }

    [Fact]
    public void Who_does_not_have_the_bases_reads_no_such_block()
    {
        var codec = Of(32, 8);
        var header = new EncodedHeader { Codec = codec.Id, CodecVersion = 1, ParametersHash = EncodedHeader.HashOf(codec.Parameters.Span) };
        Assert.False(CodecRegistry.Standard.TryFind(header, codec.Parameters.Span, out _));
        var others = TestBases.Calibrate(StripData.Noise(StripData.ShapeOf(64, 16), 3));
        Assert.False(CodecRegistry.WithBases(others).TryFind(header, codec.Parameters.Span, out _));
        Assert.True(CodecRegistry.WithBases(others, TestBases.OfStrips).TryFind(header, codec.Parameters.Span, out _));
    }

    [Fact]
    public void Heads_without_a_basis_or_with_few_channels_are_not_coded()
    {
        var strip = StripData.Noise(StripData.ShapeOf(32, 64) with { Head = 3 }, 3);
        Assert.Equal(KvCodec.NotCoded, Of(8, 8).Encode(strip.Shape, strip.Source, new byte[strip.Shape.Bytes], new CodecScratch()));
        strip = StripData.Noise(StripData.ShapeOf(32, 64), 3);
        Assert.Equal(KvCodec.NotCoded, Of(64, 8).Encode(strip.Shape, strip.Source, new byte[2 * strip.Shape.Bytes], new CodecScratch()));
    }

    [Theory]
    [InlineData(0, 8)]
    [InlineData(12, 8)]
    [InlineData(2048, 8)]
    [InlineData(8, 2)]
    public void Refuses_what_it_cannot_write(int rank, int bits) => Assert.Throws<ArgumentException>(() => Of(rank, bits));

    private static SharedProjectionCodec Of(int rank, int bits) => new(TestBases.OfStrips, rank, bits);
}
