using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Lossless;

namespace KvMesh.Codecs.Tests.Lossless;

public sealed class LosslessCodecTests : KvCodecContract
{
    protected override IEnumerable<KvCodec> Codecs => [LosslessCodec.Instance];

    protected override int? StripBytes(KvCodec codec, StripShape shape) => null;

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded) => Assert.Equal(strip.Values, decoded);

    [Theory]
    [InlineData(KvElement.BFloat16)]
    [InlineData(KvElement.Float16)]
    public void Every_pattern_of_bits_comes_back(KvElement element)
    {
        var shape = StripData.ShapeOf(512, 128, element);
        var bytes = new byte[shape.Bytes];
        for (var pattern = 0; pattern < 65_536; pattern++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * pattern), (ushort)pattern);
        }

        var strip = StripData.OfBytes("all", shape, bytes);
        Assert.Equal(bytes, Decode(LosslessCodec.Instance, shape, Encode(LosslessCodec.Instance, strip, new CodecScratch()), new CodecScratch()));
    }

    /// <summary>Bits of normal numbers: an exponent of bfloat16 has 2.55 bits.</summary>
    [Theory]
    [InlineData(KvElement.BFloat16, 10.55)]
    [InlineData(KvElement.Float16, 13.55)]
    [InlineData(KvElement.Fp8E4M3, 6.55)]
    public void Takes_the_entropy_and_little_more(KvElement element, double bits)
    {
        var strip = StripData.Noise(StripData.ShapeOf(256, 128, element), 21);
        var taken = Encode(LosslessCodec.Instance, strip, new CodecScratch()).Length * 8.0 / strip.Shape.Elements;
        Assert.InRange(taken, bits - 0.1, bits + 0.15);
    }

    [Fact]
    public void Noise_is_stored_as_it_is()
    {
        var shape = StripData.ShapeOf(256, 128);
        var bytes = new byte[shape.Bytes];
        new Random(6).NextBytes(bytes);
        var destination = new byte[LosslessCodec.Instance.MaxStripBytes(shape)];
        var entry = StripFrame.Encode(LosslessCodec.Instance, shape, default, bytes, shape.RowBytes, destination, new CodecScratch());
        Assert.True(entry.IsRaw);
        Assert.Equal(bytes, destination[..entry.Length]);
    }
}
