using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Codecs.Raw;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;

namespace KvMesh.Codecs.Tests.Blocks;

public sealed class BlockFrameTests
{
    private static readonly KvCodec Int4 = CodecRegistry.Standard.Find("int4-g32")!;
    private static readonly KvCodec Int8ByChannel = CodecRegistry.Standard.Find("int8-kc")!;

    public static TheoryData<BlockOrder> Orders => [.. Enum.GetValues<BlockOrder>()];

    [Theory]
    [MemberData(nameof(Orders))]
    public void A_raw_block_of_every_layer_comes_back_in_any_order(BlockOrder order)
    {
        foreach (var layout in new[] { BlockCase.SmallLayout, BlockCase.OddLayout })
        {
            var block = BlockCase.Of(layout);
            var encoded = block.Encode(RawCodec.Instance);
            var wanted = new BlockGeometry(layout, order, BlockRegion.Whole(layout));
            Assert.Equal(block.Slice(wanted), BlockCase.Decode(encoded, wanted));
        }
    }

    [Theory]
    [MemberData(nameof(Orders))]
    public void Encoded_bytes_do_not_depend_on_the_order_in_memory(BlockOrder order)
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var geometry = new BlockGeometry(BlockCase.SmallLayout, order, BlockRegion.Whole(BlockCase.SmallLayout));
        var reordered = block.Slice(geometry);
        var buffer = new byte[BlockEncoder.MaxBytes(Int4, geometry)];
        var length = BlockEncoder.Encode(Int4, geometry, reordered, 0, new() { ProbedHeads = 3 }, buffer, new CodecScratch());
        Assert.Equal(block.Encode(Int4, 0, new() { ProbedHeads = 3 }), buffer[..length]);
    }

    [Fact]
    public void Any_layers_heads_and_tokens_decode_alone()
    {
        var layout = BlockCase.SmallLayout;
        var block = BlockCase.Of(layout);
        foreach (var codec in new[] { RawCodec.Instance, Int4, Int8ByChannel })
        {
            var encoded = block.Encode(codec);
            var whole = BlockCase.Decode(encoded, block.Geometry);
            var regions =
                from layers in new (int First, int Count)[] { (0, 1), (1, 2), (3, 1), (0, 4) }
                from heads in new[] { HeadSelection.All, HeadSelection.Range(1, 1), HeadSelection.TensorParallel(1, 2) }
                from tokens in new (int First, int Count)[] { (0, 64), (2, 1), (10, 40), (63, 1) }
                select new BlockRegion(layers.First, layers.Count, heads, tokens.First, tokens.Count);
            foreach (var part in regions.Select(region => new BlockGeometry(layout, BlockOrder.PartLayerTokenHead, region)))
            {
                Assert.Equal(BlockCase.Slice(block.Geometry, whole, part), BlockCase.Decode(encoded, part));
            }
        }
    }

    [Fact]
    public void The_first_tokens_of_a_sequence_stay_as_they_are()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var sinks = new BlockGeometry(block.Geometry.Layout, block.Geometry.Order, block.Geometry.Region with { TokenCount = 4 });
        var behind = new BlockGeometry(block.Geometry.Layout, block.Geometry.Order, block.Geometry.Region with { FirstToken = 4, TokenCount = 1 });

        var first = block.Encode(Int4, firstPosition: 0);
        Assert.Equal(block.Slice(sinks), BlockCase.Decode(first, sinks));
        Assert.NotEqual(block.Slice(behind), BlockCase.Decode(first, behind));

        var later = block.Encode(Int4, firstPosition: 64);
        Assert.NotEqual(block.Slice(sinks), BlockCase.Decode(later, sinks));
        Assert.True(later.Length < first.Length);
    }

    [Fact]
    public void Sinks_take_no_part_in_scales()
    {
        var quiet = BlockCase.Of(BlockCase.SmallLayout);
        var loud = BlockCase.Of(BlockCase.SmallLayout);
        foreach (var plane in loud.Geometry.Planes)
        {
            loud.Bytes.AsSpan(plane.RowOffset(0, 1), plane.Shape.RowBytes).Fill(0x45);
        }

        var rest = new BlockGeometry(quiet.Geometry.Layout, quiet.Geometry.Order, quiet.Geometry.Region with { FirstToken = 4, TokenCount = 60 });
        Assert.Equal(BlockCase.Decode(quiet.Encode(Int8ByChannel), rest), BlockCase.Decode(loud.Encode(Int8ByChannel), rest));
    }

    [Fact]
    public void An_open_tail_stays_as_it_is()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var encoded = block.Encode(Int4, 64, new() { RawTail = 16 });
        var tail = new BlockGeometry(block.Geometry.Layout, block.Geometry.Order, block.Geometry.Region with { FirstToken = 48, TokenCount = 16 });
        Assert.Equal(block.Slice(tail), BlockCase.Decode(encoded, tail));
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
        Assert.Equal(new RawTokens(0, 16), opened.Header.Raw);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(4, 0)]
    [InlineData(5, 0)]
    [InlineData(31, 7)]
    [InlineData(33, 64)]
    public void A_block_of_few_tokens_comes_back(int tokens, int tail)
    {
        var layout = BlockCase.SmallLayout;
        var block = new BlockCase(new BlockGeometry(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Whole(layout) with { TokenCount = tokens }));
        foreach (var codec in CodecRegistry.Standard.Presets)
        {
            foreach (var position in new long[] { 0, 2, 1000 })
            {
                var decoded = BlockCase.Decode(block.Encode(codec, position, new() { RawTail = tail, RecordsDecodedChecksums = true }), block.Geometry);
                if (codec.IsLossless || tokens <= 4 - position || tail >= tokens)
                {
                    Assert.Equal(block.Bytes, decoded);
                }
            }
        }
    }

    [Fact]
    public void What_no_lossy_codec_may_touch_comes_back_bit_by_bit()
    {
        var layout = BlockCase.OddLayout;
        var block = BlockCase.Of(layout);
        foreach (var codec in CodecRegistry.Standard.Presets)
        {
            var decoded = BlockCase.Decode(block.Encode(codec, 64), block.Geometry);
            var state = new BlockGeometry(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Layer(layout, 2));
            var scaled = block.Geometry.Planes[block.Geometry.IndexOf(4, PlaneKind.Latent)];
            Assert.Equal(block.Slice(state), BlockCase.Slice(block.Geometry, decoded, state));
            for (var token = 0; token < 32; token++)
            {
                var at = scaled.RowOffset(0, token);
                Assert.Equal(block.Bytes.AsSpan(at, scaled.Shape.RowBytes), decoded.AsSpan(at, scaled.Shape.RowBytes));
            }
        }
    }

    [Fact]
    public void The_error_is_measured_and_stored()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var encoded = block.Encode(Int4, 64, new() { ProbedHeads = int.MaxValue });
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
        Assert.True(opened.Header.Has(EncodedFlags.Measured));
        var error = opened.Header.Error;
        Assert.InRange(error.Keys, 0.02, 0.3);
        Assert.InRange(error.Values, 0.02, 0.3);
        Assert.InRange(error.Outputs, 0.01, 1);

        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(block.Encode(Int8ByChannel, 64, new() { ProbedHeads = int.MaxValue }), out opened));
        Assert.InRange(opened.Header.Error.Keys, 0.0005, error.Keys / 5);
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(block.Encode(RawCodec.Instance, 64, new() { ProbedHeads = 2 }), out opened));
        Assert.Equal(MeasuredError.None, opened.Header.Error);
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(block.Encode(Int4, 64), out opened));
        Assert.True(float.IsNaN(opened.Header.Error.Outputs));
    }

    [Fact]
    public void A_block_cut_at_any_byte_is_refused()
    {
        var layout = new KvLayout(KvElement.BFloat16, 8, [LayerLayout.Full(2, 16), LayerLayout.Full(1, 16)]);
        var block = BlockCase.Of(layout);
        foreach (var codec in new[] { RawCodec.Instance, CodecRegistry.Standard.Find("int8")! })
        {
            var encoded = block.Encode(codec);
            for (var length = 0; length < encoded.Length; length++)
            {
                Assert.NotEqual(DecodeResult.Ok, BlockCase.TryDecode(encoded[..length], block.Geometry, out _));
            }
        }
    }

    [Fact]
    public void Any_changed_byte_is_noticed()
    {
        var layout = new KvLayout(KvElement.BFloat16, 8, [LayerLayout.Full(2, 16), LayerLayout.Full(1, 16)]);
        var block = BlockCase.Of(layout);
        var encoded = block.Encode(CodecRegistry.Standard.Find("int8")!, 0, new() { ProbedHeads = 1 });
        for (var place = 0; place < encoded.Length; place++)
        {
            var changed = encoded.ToArray();
            changed[place] ^= 0x10;
            Assert.NotEqual(DecodeResult.Ok, BlockCase.TryDecode(changed, block.Geometry, out _));
        }
    }

    [Fact]
    public void Headers_that_lie_with_a_right_checksum_do_no_harm()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var random = new Random(4);
        foreach (var codec in CodecRegistry.Standard.Presets)
        {
            var encoded = block.Encode(codec);
            Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
            var summed = opened.Header.HeaderBytes - sizeof(uint);
            for (var round = 0; round < 300; round++)
            {
                var changed = encoded.ToArray();
                var place = random.Next(4, summed);
                changed[place] = random.Next(3) switch { 0 => 0xFF, 1 => 0, _ => (byte)random.Next(256) };
                BinaryPrimitives.WriteUInt32LittleEndian(changed.AsSpan(summed), Crc32C.Compute(changed.AsSpan(0, summed)));
                BlockCase.TryDecode(changed, block.Geometry, out _);
            }
        }
    }

    [Fact]
    public void Sections_that_lie_with_a_right_checksum_do_no_harm()
    {
        var layout = new KvLayout(KvElement.BFloat16, 32, [LayerLayout.Full(2, 32)]);
        var block = BlockCase.Of(layout);
        var random = new Random(5);
        foreach (var codec in CodecRegistry.Standard.Presets)
        {
            var encoded = block.Encode(codec);
            Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
            var header = opened.Header;
            var (first, second) = (opened.Section(0), opened.Section(1));
            for (var round = 0; round < 300; round++)
            {
                var changed = encoded.ToArray();
                changed[random.Next(first.Offset, first.Offset + Math.Min(64, first.Length))] = (byte)random.Next(256);
                var entries = changed.AsSpan(EncodedHeader.FixedBytes + header.ParameterBytes);
                (first with { Checksum = Crc32C.Compute(changed.AsSpan(first.Offset, first.Length)) }).Write(entries);
                second.Write(entries[SectionEntry.Bytes..]);
                var summed = header.HeaderBytes - sizeof(uint);
                BinaryPrimitives.WriteUInt32LittleEndian(changed.AsSpan(summed), Crc32C.Compute(changed.AsSpan(0, summed)));
                BlockCase.TryDecode(changed, block.Geometry, out _);
            }
        }
    }

    [Fact]
    public void Another_layout_another_codec_and_what_is_not_there_are_told_apart()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var encoded = block.Encode(Int4);
        var other = BlockCase.SmallLayout.With(style: RopeStyle.Interleaved);
        Assert.Equal(DecodeResult.WrongLayout, BlockCase.TryDecode(encoded, new BlockGeometry(other, BlockOrder.LayerPartTokenHead, BlockRegion.Whole(other)), out _));
        Assert.Equal(DecodeResult.NotEncoded, BlockCase.TryDecode(block.Bytes, block.Geometry, out _));

        var bytes = new byte[block.Geometry.Bytes];
        var registry = new CodecRegistry([RawCodec.Family]);
        Assert.Equal(DecodeResult.UnknownCodec, BlockDecoder.Decode(registry, encoded, block.Geometry, bytes, new CodecScratch()));

        var layer = new BlockCase(new BlockGeometry(BlockCase.SmallLayout, BlockOrder.LayerPartTokenHead, BlockRegion.Layer(BlockCase.SmallLayout, 1)));
        Assert.Equal(DecodeResult.NotHere, BlockCase.TryDecode(layer.Encode(Int4), block.Geometry, out _));
    }

    [Fact]
    public void A_layer_decodes_before_the_layers_behind_it_have_arrived()
    {
        var layout = BlockCase.SmallLayout;
        var block = BlockCase.Of(layout);
        var encoded = block.Encode(Int4);
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
        var last = opened.Section(opened.IndexOf(0, PlaneKind.Value));
        var layer = new BlockGeometry(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Layer(layout, 0));
        var arrived = encoded[..(last.Offset + last.Length)];
        Assert.Equal(BlockCase.Decode(encoded, layer), BlockCase.Decode(arrived, layer));
        Assert.Equal(DecodeResult.Truncated, BlockCase.TryDecode(arrived, block.Geometry, out _));
    }

    [Fact]
    public void Checksums_of_what_a_strip_decodes_to_are_compared()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var encoded = block.Encode(Int4, 64, new() { RecordsDecodedChecksums = true });
        Assert.Equal(DecodeResult.Ok, BlockCase.TryDecode(encoded, block.Geometry, out _));
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
        var entry = opened.Section(0);
        encoded[entry.Offset + sizeof(uint)] ^= 1;
        (entry with { Checksum = Crc32C.Compute(encoded.AsSpan(entry.Offset, entry.Length)) }).Write(encoded.AsSpan(EncodedHeader.FixedBytes + opened.Header.ParameterBytes));
        var summed = opened.Header.HeaderBytes - sizeof(uint);
        BinaryPrimitives.WriteUInt32LittleEndian(encoded.AsSpan(summed), Crc32C.Compute(encoded.AsSpan(0, summed)));
        Assert.Equal(DecodeResult.BadChecksum, BlockCase.TryDecode(encoded, block.Geometry, out _));
    }

    [Fact]
    public void Encoding_and_decoding_a_warm_block_allocates_nothing()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var scratch = new CodecScratch();
        var buffer = new byte[BlockEncoder.MaxBytes(Int4, block.Geometry)];
        var bytes = new byte[block.Bytes.Length];
        var options = new EncodeOptions { ProbedHeads = 2, RecordsDecodedChecksums = true };
        var length = BlockEncoder.Encode(Int4, block.Geometry, block.Bytes, 0, options, buffer, scratch);
        BlockDecoder.Decode(CodecRegistry.Standard, buffer.AsSpan(0, length), block.Geometry, bytes, scratch);
        Assert.Equal(0, Allocations.Of(() =>
        {
            var written = BlockEncoder.Encode(Int4, block.Geometry, block.Bytes, 0, options, buffer, scratch);
            BlockDecoder.Decode(CodecRegistry.Standard, buffer.AsSpan(0, written), block.Geometry, bytes, scratch);
        }));
    }

    [Fact]
    public void All_instructions_write_the_same_block()
    {
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var options = new EncodeOptions { ProbedHeads = 4, RecordsDecodedChecksums = true };
        foreach (var codec in CodecRegistry.Standard.Presets)
        {
            var expected = block.Encode(codec, 0, options, SimdLevel.Scalar);
            Assert.All(SimdLevels.OfThisProcessor, level => Assert.Equal(expected, block.Encode(codec, 0, options, level)));
        }
    }

    [Fact]
    public void Presets_have_names_of_their_own_that_fit_a_command_line() =>
        Assert.All(CodecRegistry.Standard.Presets, codec => Assert.Matches("^[a-z0-9][a-z0-9.-]*$", codec.Name));
}
