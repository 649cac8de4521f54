using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.LayerPairs;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Tests.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Codecs.Tests.LayerPairs;

public sealed class LayerPairCodecTests
{
    private const int FuzzRounds = 300;

    private static readonly KvLayout Layout = new(KvElement.BFloat16, 64, Enumerable.Repeat(LayerLayout.Full(2, 64), 4));

    private static KvCodec Raw => CodecRegistry.Standard.Find("raw")!;

    private static KvCodec Four => CodecRegistry.Standard.Find("int4-g64")!;

    [Fact]
    public void Pairs_layers_from_the_middle_on_that_are_alike_and_their_own()
    {
        var full = LayerLayout.Full(2, 64);
        int[] PairsOf(params LayerLayout[] layers) => [.. PlanOf(new KvLayout(KvElement.BFloat16, 64, layers)).Pairs];
        Assert.Equal([2], PairsOf(full, full, full, full));
        Assert.Equal([3], PairsOf(full, full, full, full, full, full));
        Assert.Equal([4, 6], PairsOf(full, full, full, full, full, full, full, full));
        Assert.Equal([3], PairsOf(full, full, full, full, LayerLayout.Sliding(2, 64, 32), LayerLayout.Full(2, 32)));
        Assert.Empty(PairsOf(full, full, full, full with { KeyAlias = 2 }));
        Assert.Empty(PairsOf(full, full, full, LayerLayout.State(40)));
        Assert.Empty(new LayerPairPlan(new BlockGeometry(Layout, BlockOrder.LayerPartTokenHead, BlockRegion.Layer(Layout, 2))).Pairs);
        Assert.Equal([0, 2], new LayerPairPlan(BlockCase.Of(Layout).Geometry, firstLayer: 0).Pairs.ToArray());
    }

    [Fact]
    public void Lengths_come_back_and_rows_turn_no_farther_than_their_share()
    {
        var block = BlockCase.Of(Layout);
        var plan = new LayerPairPlan(block.Geometry);
        foreach (var share in new[] { 0f, 0.3f, 0.6f, 1f })
        {
            var decoded = Decode(plan, Encode(new LayerPairCodec(Raw, share, 0), plan, block.Bytes, 64));
            foreach (var (first, second, before, after) in Rows(plan, block.Bytes, decoded))
            {
                var angle = SharedDirection.ArcCosine(Cosine(first, second));
                AssertTurned(first, before, share * angle);
                AssertTurned(second, after, (1 - share) * angle);
            }
        }
    }

    [Fact]
    public void Layers_without_a_pair_come_back_as_the_inner_codec_has_them()
    {
        var block = BlockCase.Of(Layout);
        var plan = new LayerPairPlan(block.Geometry);
        var decoded = Decode(plan, Encode(new LayerPairCodec(Raw), plan, block.Bytes, 64));
        Assert.Equal(block.Bytes[..(block.Bytes.Length / 2)], decoded[..(decoded.Length / 2)]);
        Assert.NotEqual(block.Bytes, decoded);
    }

    [Fact]
    public void The_tokens_that_differ_most_and_the_first_of_a_sequence_stay_as_they_are()
    {
        var block = BlockCase.Of(Layout);
        var plan = new LayerPairPlan(block.Geometry);
        var codec = new LayerPairCodec(Four);
        var decoded = Decode(plan, Encode(codec, plan, block.Bytes, firstPosition: 0, new EncodeOptions { RawTail = 3 }));
        var kept = Rows(plan, block.Bytes, decoded).Select(row => row.First.AsSpan().SequenceEqual(row.Before) && row.Second.AsSpan().SequenceEqual(row.After)).ToArray();
        foreach (var head in kept.Chunk(64))
        {
            // Five per cent of 64 are four, and the first four and the last three are kept before that is asked.
            Assert.Equal(7, head.Count(isKept => isKept));
            Assert.All(new[] { 0, 1, 2, 3, 61, 62, 63 }, token => Assert.True(head[token]));
        }

        decoded = Decode(plan, Encode(codec, plan, block.Bytes, firstPosition: 64));
        var keys = Rows(plan, block.Bytes, decoded, PlaneKind.Key).Take(64).ToArray();
        var widest = keys.Select((row, token) => (Token: token, Angle: Math.Acos(Cosine(row.First, row.Second)))).OrderByDescending(row => row.Angle).Take(4);
        Assert.All(widest, row => Assert.Equal(keys[row.Token].First, keys[row.Token].Before));
    }

    [Fact]
    public void More_kept_tokens_make_less_error_and_all_of_them_none()
    {
        var block = BlockCase.Of(Layout);
        var plan = new LayerPairPlan(block.Geometry);
        var last = double.PositiveInfinity;
        foreach (var keptShare in new[] { 0, 0.05f, 0.2f, 0.5f, 1 })
        {
            var decoded = Decode(plan, Encode(new LayerPairCodec(Raw, 0.6f, keptShare), plan, block.Bytes, 64));
            var error = Rows(plan, block.Bytes, decoded).Sum(row => Distance(row.First, row.Before) + Distance(row.Second, row.After));
            Assert.True(error < last, $"{keptShare}: {error} after {last}");
            last = error;
        }

        Assert.Equal(0, last);
    }

    /// <summary>MiniCache: (16 + 2 × 16 ÷ d + 2 γ 16) ÷ 2 bits, 1.79 on paired layers; with directions of four bits five times less.</summary>
    [Fact]
    public void Takes_what_was_published()
    {
        var layout = new KvLayout(KvElement.BFloat16, 256, Enumerable.Repeat(LayerLayout.Full(2, 128), 2));
        var block = BlockCase.Of(layout);
        var plan = new LayerPairPlan(block.Geometry, firstLayer: 0);
        var heads = layout.Layers[0].KeyHeads;
        var record = heads * ((8 * 256) + (256 / 8) + (13 * 4 * 128 * 2));
        foreach (var (inner, times) in new[] { (Raw, 1.79), (Four, 5.0) })
        {
            var encoded = Encode(new LayerPairCodec(inner), plan, block.Bytes, 256);
            var directions = new byte[BlockEncoder.MaxBytes(inner, plan.Merged)];
            var alone = BlockEncoder.Encode(inner, plan.Merged, new byte[plan.Merged.Bytes], 256, default, directions, new CodecScratch());
            Assert.Equal(LayerPairCodec.HeadBytes + record + alone, encoded.Length);
            Assert.InRange((double)block.Bytes.Length / encoded.Length, times * 0.98, times * 1.02);
        }
    }

    [Fact]
    public void Directions_of_known_rows_are_where_they_should_be()
    {
        float[] first = [2, 0, 0, 0], second = [0, 3, 0, 0], direction = new float[4];
        Assert.Equal(Math.PI / 2, SharedDirection.Of(first, second, (2, 3), 0.5f, direction, SimdLevel.Scalar), 2e-3);
        Assert.Equal(Math.Sqrt(2), direction[0], 1e-6);
        Assert.Equal(Math.Sqrt(2), direction[1], 1e-6);
        SharedDirection.Of(first, second, (2, 3), 0, direction, SimdLevel.Scalar);
        Assert.Equal([2, 0, 0, 0], direction);
        SharedDirection.Of(first, second, (2, 3), 1, direction, SimdLevel.Scalar);
        Assert.Equal(2, direction[1], 1e-6);
        Assert.Equal(0, SharedDirection.Of(first, first, (2, 2), 0.6f, direction, SimdLevel.Scalar), 1e-3);
        Assert.Equal(2, direction[0], 1e-6);
        Assert.Equal(0, SharedDirection.Of(new float[4], second, (0, 3), 0.6f, direction, SimdLevel.Scalar));
        Assert.Equal([0, 2, 0, 0], direction);
        for (var cosine = -1.0; cosine <= 1; cosine += 1.0 / 1024)
        {
            Assert.Equal(Math.Acos(cosine), SharedDirection.ArcCosine(cosine), 3e-8);
        }
    }

    [Fact]
    public void Rows_that_are_no_numbers_or_have_no_length_come_back()
    {
        foreach (var element in new[] { KvElement.BFloat16, KvElement.Float16, KvElement.Fp8E4M3, KvElement.Fp8E5M2 })
        {
            var layout = new KvLayout(element, 32, Enumerable.Repeat(LayerLayout.Full(1, 64), 2));
            var block = BlockCase.Of(layout);
            var plan = new LayerPairPlan(block.Geometry, firstLayer: 0);
            double[] special = [0, double.NaN, 3e38, 1e-30, 60_000, 1e-5];
            var values = new float[64];
            for (var token = 0; token < special.Length; token++)
            {
                Array.Fill(values, (float)special[token]);
                Put(block, 0, token, values);
                Put(block, 1, token, [.. values.Select(value => token % 2 == 0 ? value : -value)]);
            }

            var decoded = Decode(plan, Encode(new LayerPairCodec(Raw, 0.6f, 0), plan, block.Bytes, 64));
            var rows = Rows(plan, block.Bytes, decoded, PlaneKind.Key).ToArray();
            for (var token = 0; token < special.Length; token++)
            {
                var length = Math.Sqrt(rows[token].First.Sum(value => (double)value * value));
                if (length == 0 || !double.IsFinite(length) || length is < 6e-5 or > 65_504)
                {
                    Assert.Equal(rows[token].First, rows[token].Before);
                    Assert.Equal(rows[token].Second, rows[token].After);
                }
            }
        }
    }

    [Fact]
    public void All_instructions_write_the_same_bytes_and_numbers_in_every_order_and_part()
    {
        foreach (var order in Enum.GetValues<BlockOrder>())
        {
            foreach (var region in new[] { BlockRegion.Whole(Layout), BlockRegion.Rank(Layout, 1, 2), BlockRegion.Whole(Layout) with { FirstLayer = 1, LayerCount = 3, TokenCount = 40 } })
            {
                var block = new BlockCase(new BlockGeometry(Layout, order, region));
                var plan = new LayerPairPlan(block.Geometry);
                Assert.Equal([2], plan.Pairs.ToArray());
                var expected = Encode(new LayerPairCodec(Four), plan, block.Bytes, 64, level: SimdLevel.Scalar);
                var numbers = Decode(plan, expected, SimdLevel.Scalar);
                foreach (var level in SimdLevels.OfThisProcessor)
                {
                    Assert.Equal(expected, Encode(new LayerPairCodec(Four), plan, block.Bytes, 64, level: level));
                    Assert.Equal(numbers, Decode(plan, expected, level));
                }
            }
        }
    }

    [Fact]
    public void What_is_cut_or_of_another_plan_is_refused()
    {
        var (plan, encoded) = Small();
        using var guarded = new GuardedBytes(encoded.Length + 1);
        var target = new byte[plan.Whole.Bytes];
        var scratch = new CodecScratch();
        for (var length = 0; length < encoded.Length; length++)
        {
            Assert.NotEqual(DecodeResult.Ok, LayerPairCodec.Decode(CodecRegistry.Standard, guarded.Holding(encoded.AsSpan(0, length)), plan, target, scratch));
        }

        Assert.True(LayerPairCodec.TryReadFirstLayer(encoded, out var first));
        Assert.Equal(plan.FirstLayer, first);
        Assert.Equal(DecodeResult.WrongLayout, LayerPairCodec.Decode(CodecRegistry.Standard, encoded, new LayerPairPlan(plan.Whole, 1), target, scratch));
        Assert.Equal(DecodeResult.NotEncoded, LayerPairCodec.Decode(CodecRegistry.Standard, encoded.AsSpan(LayerPairCodec.HeadBytes), plan, target, scratch));
    }

    [Fact]
    public void Whatever_stands_there_nothing_beyond_it_is_touched()
    {
        var (plan, encoded) = Small();
        using var guarded = new GuardedBytes(2 * encoded.Length);
        using var target = new GuardedBytes(plan.Whole.Bytes);
        var scratch = new CodecScratch();
        var merged = new byte[plan.Merged.Bytes];
        Fuzz.Run(FuzzRounds, random =>
        {
            var spoilt = Fuzz.Damage(random, encoded);
            LayerPairCodec.Decode(CodecRegistry.Standard, guarded.Holding(spoilt.AsSpan(0, Math.Min(spoilt.Length, 2 * encoded.Length))), plan, target.Last(plan.Whole.Bytes), scratch);

            // Behind the checksum of the record as well, which stops most of what is spoilt.
            var record = spoilt.AsSpan(Math.Min(LayerPairCodec.HeadBytes, spoilt.Length));
            PairRecord.TryRead(plan, guarded.Holding(record[..Math.Min(record.Length, 2 * encoded.Length)]), merged, target.Last(plan.Whole.Bytes), scratch);
        });
    }

    [Fact]
    public void A_warm_scratch_allocates_nothing()
    {
        var block = BlockCase.Of(Layout);
        var plan = new LayerPairPlan(block.Geometry);
        var codec = new LayerPairCodec(Four);
        var scratch = new CodecScratch();
        var encoded = new byte[codec.MaxBytes(plan)];
        var length = codec.Encode(plan, block.Bytes, 64, default, encoded, scratch);
        var target = new byte[block.Bytes.Length];
        LayerPairCodec.Decode(CodecRegistry.Standard, encoded.AsSpan(0, length), plan, target, scratch);
        Assert.Equal(0, Allocations.Of(() =>
        {
            codec.Encode(plan, block.Bytes, 64, default, encoded, scratch);
            LayerPairCodec.Decode(CodecRegistry.Standard, encoded.AsSpan(0, length), plan, target, scratch);
        }));
    }

    [Fact]
    public void Shares_beyond_one_are_refused()
    {
        Assert.Throws<ArgumentException>(() => new LayerPairCodec(Raw, 1.1f));
        Assert.Throws<ArgumentException>(() => new LayerPairCodec(Raw, 0.6f, float.NaN));
        Assert.Equal("minicache-int4-g64", new LayerPairCodec(Four).Name);
    }

    private static LayerPairPlan PlanOf(KvLayout layout) => new(BlockCase.Of(layout).Geometry);

    private static (LayerPairPlan Plan, byte[] Encoded) Small()
    {
        var block = BlockCase.Of(new KvLayout(KvElement.BFloat16, 16, Enumerable.Repeat(LayerLayout.Full(1, 16), 2)));
        var plan = new LayerPairPlan(block.Geometry, firstLayer: 0);
        return (plan, Encode(new LayerPairCodec(Raw), plan, block.Bytes, 64));
    }

    private static byte[] Encode(LayerPairCodec codec, LayerPairPlan plan, byte[] block, long firstPosition, EncodeOptions options = default, SimdLevel? level = null)
    {
        var destination = new byte[codec.MaxBytes(plan)];
        return destination[..codec.Encode(plan, block, firstPosition, options, destination, new CodecScratch(level ?? SimdLevels.Best))];
    }

    private static byte[] Decode(LayerPairPlan plan, byte[] encoded, SimdLevel? level = null)
    {
        var block = new byte[plan.Whole.Bytes];
        Assert.Equal(DecodeResult.Ok, LayerPairCodec.Decode(CodecRegistry.Standard, encoded, plan, block, new CodecScratch(level ?? SimdLevels.Best)));
        return block;
    }

    private static void Put(BlockCase block, int layer, int token, float[] values)
    {
        var plane = block.Geometry.Planes[block.Geometry.IndexOf(layer, PlaneKind.Key)];
        ElementConversion.FromSingle(plane.Shape.Element, values, block.Bytes.AsSpan(plane.RowOffset(0, token)), SimdLevel.Scalar);
    }

    /// <summary>For each pair, head and token both rows as they were and as they came back.</summary>
    private static IEnumerable<(float[] First, float[] Second, float[] Before, float[] After)> Rows(LayerPairPlan plan, byte[] original, byte[] decoded, PlaneKind? only = null)
    {
        foreach (var layer in plan.Pairs)
        {
            foreach (var kind in only is { } one ? [one] : new[] { PlaneKind.Key, PlaneKind.Value })
            {
                var (first, second) = (plan.Whole.Planes[plan.Whole.IndexOf(layer, kind)], plan.Whole.Planes[plan.Whole.IndexOf(layer + 1, kind)]);
                for (var head = 0; head < first.HeadCount; head++)
                {
                    for (var token = 0; token < plan.Whole.Region.TokenCount; token++)
                    {
                        yield return (Row(first, head, token, original), Row(second, head, token, original), Row(first, head, token, decoded), Row(second, head, token, decoded));
                    }
                }
            }
        }
    }

    private static float[] Row(PlaneGeometry plane, int head, int token, byte[] bytes)
    {
        var row = new float[plane.Shape.Channels];
        ElementConversion.ToSingle(plane.Shape.Element, bytes.AsSpan(plane.RowOffset(head, token)), row, SimdLevel.Scalar);
        return row;
    }

    private static double Cosine(float[] first, float[] second)
    {
        double Product(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();
        return Math.Clamp(Product(first, second) / Math.Sqrt(Product(first, first) * Product(second, second)), -1, 1);
    }

    private static double Distance(float[] before, float[] after) => before.Zip(after, (x, y) => ((double)x - y) * ((double)x - y)).Sum();

    private static void AssertTurned(float[] before, float[] after, double angle)
    {
        double Length(float[] row) => Math.Sqrt(row.Sum(value => (double)value * value));
        Assert.InRange(Length(after) / Length(before), 0.995, 1.005);
        Assert.Equal(angle, Math.Acos(Cosine(before, after)), 0.08);
        Assert.True(Math.Sqrt(Distance(before, after)) <= Length(before) * ((2 * Math.Sin(angle / 2)) + 0.01), "farther than the chord");
    }
}
