using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.EntropyCoded;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Tests.Blocks;

namespace KvMesh.Codecs.Tests.EntropyCoded;

public sealed class ProgressiveCodecTests : KvCodecContract
{
    private static readonly ProgressiveCodec Preset = (ProgressiveCodec)ProgressiveCodec.Family.Presets[0];

    protected override IEnumerable<KvCodec> Codecs => [.. ProgressiveCodec.Family.Presets, new ProgressiveCodec(8, 1), new ProgressiveCodec(1.5f, 3)];

    protected override IEnumerable<KvCodec[]> ByRisingBits => [[new ProgressiveCodec(4.5f, 1), new ProgressiveCodec(1.5f, 1), new ProgressiveCodec(1.5f, 2), new ProgressiveCodec(1.5f, 3)]];

    // Values are not centred: on a channel with an offset, an error depends on where the offset lies between two steps.
    protected override StripData ForRisingBits(StripShape shape) => shape.Kind == PlaneKind.Key ? base.ForRisingBits(shape) : StripData.Noise(shape, 11);

    protected override int? StripBytes(KvCodec codec, StripShape shape) => null;

    protected override void AssertWithinBound(KvCodec codec, StripData strip, float[] decoded) =>
        StepBound.Assert(strip, decoded, ((ProgressiveCodec)codec).Steps[^1], strip.Shape.Kind == PlaneKind.Key, isUnrotated: false, Ulp);

    [Fact]
    public void Without_its_last_refinements_a_strip_keeps_the_bound_of_its_steps()
    {
        foreach (var codec in Codecs.Cast<ProgressiveCodec>())
        {
            foreach (var strip in Shapes(codec).SelectMany(StripData.Edges).Append(StripData.Keys(StripData.ShapeOf(64, 128), 6)))
            {
                var encoded = Encode(codec, strip, new CodecScratch());
                for (var refinements = 0; refinements <= codec.Refinements; refinements++)
                {
                    var rows = DecodeRefined(codec, strip.Shape, encoded.AsSpan(0, Ends(codec, encoded)[refinements]), refinements);
                    StepBound.Assert(strip, Singles(strip.Shape, rows), codec.Steps[refinements], strip.Shape.Kind == PlaneKind.Key, isUnrotated: false, Ulp);
                }
            }
        }
    }

    [Theory]
    [InlineData(PlaneKind.Key)]
    [InlineData(PlaneKind.Value)]
    public void Is_what_ECQ_makes_of_the_same_steps_after_each_refinement(PlaneKind kind)
    {
        var strip = StripData.Noise(StripData.ShapeOf(256, 128, KvElement.BFloat16, kind), 12);
        var encoded = Encode(Preset, strip, new CodecScratch());
        for (var refinements = 0; refinements <= Preset.Refinements; refinements++)
        {
            var end = Ends(Preset, encoded)[refinements];
            var plain = new EcqCodec(Preset.Steps[refinements], Preset.Steps[refinements]);
            var single = Encode(plain, strip, new CodecScratch());
            var expected = RelativeError(strip.Values, Singles(strip.Shape, Decode(plain, strip.Shape, single, new CodecScratch())));
            var error = RelativeError(strip.Values, Singles(strip.Shape, DecodeRefined(Preset, strip.Shape, encoded.AsSpan(0, end), refinements)));
            Assert.InRange(error / expected, 0.99, 1.01);
            Assert.InRange(end, single.Length * 0.97, single.Length * 1.04);
        }
    }

    [Fact]
    public void A_prefix_of_a_block_is_a_block_of_lower_quality()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var encoded = block.Encode(Preset, 64, new() { RecordsDecodedChecksums = true });
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
        Assert.Equal(2, opened.Header.Refinements);
        Assert.Equal(3 * opened.Header.TensorCount, opened.Header.SectionCount);
        Assert.Equal(encoded.Length, opened.BytesWith(2));
        var last = double.PositiveInfinity;
        for (var refinements = 0; refinements <= 2; refinements++)
        {
            var end = opened.BytesWith(refinements);
            var decoded = BlockCase.Decode(encoded[..end], block.Geometry);
            var error = Distance(block.Bytes, decoded);
            Assert.True(error < last / 2, $"{refinements} refinements: {error} after {last}");
            last = error;

            // What has begun to arrive behind is used for the tensors that are whole, and does no harm.
            if (refinements < 2)
            {
                Assert.Equal(decoded, BlockCase.Decode(encoded[..(end + 5)], block.Geometry));
                var more = BlockCase.Decode(encoded[..((end + opened.BytesWith(refinements + 1)) / 2)], block.Geometry);
                Assert.True(Distance(block.Bytes, more) < error);
            }
        }

        Assert.Equal(DecodeResult.Truncated, BlockCase.TryDecode(encoded[..(opened.BytesWith(0) - 1)], block.Geometry, out _));
    }

    [Fact]
    public void First_tokens_and_the_tail_are_raw_in_every_prefix()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var encoded = block.Encode(Preset, 0, new() { RawTail = 8 });
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
        foreach (var (first, count) in new[] { (0, 4), (56, 8) })
        {
            var part = new BlockGeometry(block.Geometry.Layout, block.Geometry.Order, block.Geometry.Region with { FirstToken = first, TokenCount = count });
            Assert.Equal(block.Slice(part), BlockCase.Decode(encoded[..opened.BytesWith(0)], part));
        }
    }

    [Fact]
    public void A_spoilt_refinement_is_no_missing_one()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var encoded = block.Encode(Preset);
        encoded[^1] ^= 1;
        Assert.Equal(DecodeResult.BadChecksum, BlockCase.TryDecode(encoded, block.Geometry, out _));
    }

    [Fact]
    public void Ranks_are_put_together_with_their_refinements_only()
    {
        var layout = new KvLayout(KvElement.BFloat16, 32, [LayerLayout.Full(4, 64)]);
        var block = BlockCase.Of(layout);
        BlockGeometry Rank(int rank) => new(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Rank(layout, rank, 2));
        ReadOnlyMemory<byte>[] held = [.. Enumerable.Range(0, 2).Select(rank => (ReadOnlyMemory<byte>)new BlockCase(Rank(rank), rank).Encode(Preset))];
        var buffer = new byte[EncodedParts.MaxBytes(held)];
        Assert.Equal(DecodeResult.Ok, EncodedParts.Assemble(held, block.Geometry, buffer, out var length));
        Assert.Equal(DecodeResult.Ok, BlockCase.TryDecode(buffer[..length], block.Geometry, out _));
        Assert.Equal(DecodeResult.Truncated, EncodedParts.Assemble([held[0], held[1][..^1]], block.Geometry, buffer, out _));
    }

    [Fact]
    public void Whatever_stands_in_a_base_nothing_beyond_it_is_touched()
    {
        var strip = StripData.Keys(StripData.ShapeOf(32, 64), 4);
        var encoded = Encode(Preset, strip, new CodecScratch());
        var random = new Random(19);
        for (var refinements = 0; refinements < Preset.Refinements; refinements++)
        {
            var part = encoded.AsSpan(0, Ends(Preset, encoded)[refinements]);
            using var guarded = new GuardedBytes(part.Length);
            using var rows = new GuardedBytes(strip.Shape.Bytes);
            for (var length = 0; length < part.Length; length++)
            {
                var target = new StripTarget(rows.Last(strip.Shape.Bytes), strip.Shape, strip.Shape.RowBytes);
                Assert.False(Preset.TryDecodeRefined(strip.Shape, guarded.Holding(part[..length]), refinements, target, new CodecScratch()));
            }

            for (var round = 0; round < 300; round++)
            {
                var bytes = guarded.Last(part.Length);
                part.CopyTo(bytes);
                bytes[random.Next(random.Next(2) == 0 ? 16 : bytes.Length)] = (byte)random.Next(256);
                var target = new StripTarget(rows.Last(strip.Shape.Bytes), strip.Shape, strip.Shape.RowBytes);
                Preset.TryDecodeRefined(strip.Shape, bytes, refinements, target, new CodecScratch());
            }
        }
    }

    [Theory]
    [InlineData(1.4f, 1)]
    [InlineData(9f, 1)]
    [InlineData(2f, 0)]
    [InlineData(2f, 4)]
    [InlineData(float.NaN, 1)]
    public void Refuses_steps_that_it_cannot_write(float step, int refinements) => Assert.Throws<ArgumentException>(() => new ProgressiveCodec(step, refinements));

    private static int[] Ends(ProgressiveCodec codec, byte[] encoded)
    {
        var parts = new int[codec.Refinements + 1];
        codec.MeasureRefinements(encoded, parts);
        return [.. Enumerable.Range(1, parts.Length).Select(count => parts[..count].Sum())];
    }

    private static byte[] DecodeRefined(ProgressiveCodec codec, StripShape shape, ReadOnlySpan<byte> encoded, int refinements)
    {
        var rows = new byte[shape.Bytes];
        Assert.True(codec.TryDecodeRefined(shape, encoded, refinements, new StripTarget(rows, shape, shape.RowBytes), new CodecScratch()), $"{codec} with {refinements} refinements");
        return rows;
    }

    private static double Distance(byte[] original, byte[] decoded)
    {
        float[] Numbers(byte[] bytes) => [.. Enumerable.Range(0, bytes.Length / 2).Select(index => Bf16.ToSingle(BitConverter.ToUInt16(bytes, 2 * index)))];
        return RelativeError(Numbers(original), Numbers(decoded));
    }
}
