using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Tests.Blocks;

public sealed class KeptTokensTests
{
    private static readonly KvLayout Layout = new(
        KvElement.BFloat16, 64, [LayerLayout.Full(2, 64), LayerLayout.Full(2, 64)], new RopeSpec { Theta = 10_000, RotaryChannels = 64 });

    private static readonly int[] Kept = [0, 1, 3, .. Enumerable.Range(0, 60).Select(token => 10 + (token * 7)), 900_000];

    [Fact]
    public void A_list_comes_back_in_a_byte_for_nearly_every_token()
    {
        var stored = new byte[KeptTokens.MaxBytes(Kept.Length)];
        var length = KeptTokens.Write(Kept, stored);
        Assert.Equal(Kept.Length + 2, length);
        var read = new int[Kept.Length];
        Assert.True(KeptTokens.TryRead(stored.AsSpan(0, length), Kept.Length, read));
        Assert.Equal(Kept, read);
    }

    [Fact]
    public void A_list_that_is_cut_longer_or_beyond_the_span_is_refused()
    {
        var stored = new byte[KeptTokens.MaxBytes(Kept.Length) + 1];
        var length = KeptTokens.Write(Kept, stored);
        Assert.All(Enumerable.Range(0, length), cut => Assert.False(KeptTokens.TryRead(stored.AsSpan(0, cut), Kept.Length, default)));
        Assert.False(KeptTokens.TryRead(stored.AsSpan(0, length + 1), Kept.Length, default));
        Assert.False(KeptTokens.TryRead([0xFF, 0xFF, 0x7F], 1, default));
        Assert.False(KeptTokens.TryRead([0xFF, 0xFF, 0xFF, 0x01], 1, default));
        Assert.False(KeptTokens.TryRead([0xFF, 0xFF, 0x3F, 0x00], 2, default));
    }

    [Fact]
    public void A_block_tells_which_tokens_it_kept()
    {
        var block = BlockCase.Of(Layout);
        foreach (var codec in CodecRegistry.Standard.Presets)
        {
            var encoded = block.Encode(codec, 0, new EncodeOptions { KeptOffsets = Kept, ProbedHeads = 1 });
            Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
            Assert.True(opened.Header.Has(EncodedFlags.KeptTokens));
            var offsets = new int[Kept.Length];
            opened.ReadKeptOffsets(offsets);
            Assert.Equal(Kept, offsets);

            // Of the four first positions three were kept: those rows are as they were.
            var decoded = BlockCase.Decode(encoded, block.Geometry);
            var row = block.Geometry.Planes[0].TokenStride;
            Assert.True(block.Bytes.AsSpan(0, 3 * row).SequenceEqual(decoded.AsSpan(0, 3 * row)), codec.Name);
            Assert.True(opened.Header.Raw.Trailing == Kept.Length || opened.Header.Raw.Leading == (codec.IsLossless ? 0 : 3), codec.Name);
        }
    }

    [Fact]
    public void A_block_that_kept_all_tokens_counts_them()
    {
        var encoded = BlockCase.Of(Layout).Encode(CodecRegistry.Standard.Find("int8")!);
        Assert.Equal(DecodeResult.Ok, EncodedBlock.TryOpen(encoded, out var opened));
        var offsets = new int[64];
        opened.ReadKeptOffsets(offsets);
        Assert.Equal(Enumerable.Range(0, 64), offsets);
        Assert.Equal(0, opened.Header.KeptBytes);
    }

    [Fact]
    public void Parts_keep_the_list_and_parts_of_other_tokens_are_not_put_together()
    {
        var block = BlockCase.Of(Layout);
        var codec = CodecRegistry.Standard.Find("int8")!;
        byte[] Rank(int rank, int[] kept)
        {
            var part = new BlockGeometry(Layout, BlockOrder.LayerPartTokenHead, BlockRegion.Rank(Layout, rank, 2));
            var buffer = new byte[BlockEncoder.MaxBytes(codec, part)];
            return buffer[..BlockEncoder.Encode(codec, part, block.Slice(part), 0, new EncodeOptions { KeptOffsets = kept }, buffer, new CodecScratch())];
        }

        ReadOnlyMemory<byte>[] held = [Rank(0, Kept), Rank(1, Kept)];
        var whole = new byte[EncodedParts.MaxBytes(held)];
        Assert.Equal(DecodeResult.Ok, EncodedParts.Assemble(held, block.Geometry, whole, out var length));
        Assert.Equal(block.Encode(codec, 0, new EncodeOptions { KeptOffsets = Kept }), whole[..length]);
        int[] other = [.. Kept[..^1], 800_000];
        Assert.Equal(DecodeResult.Malformed, EncodedParts.Assemble([held[0], Rank(1, other)], block.Geometry, whole, out _));
    }

    [Fact]
    public void Refuses_offsets_that_are_too_few_or_do_not_ascend()
    {
        var block = BlockCase.Of(Layout);
        var codec = CodecRegistry.Standard.Find("int8")!;
        Assert.Throws<ArgumentException>(() => block.Encode(codec, 0, new EncodeOptions { KeptOffsets = Kept.AsMemory(1) }));
        Assert.Throws<ArgumentException>(() => block.Encode(codec, 0, new EncodeOptions { KeptOffsets = (int[])[.. Kept[..^1], 3] }));
        Assert.Throws<ArgumentException>(() => block.Encode(codec, 0, new EncodeOptions { KeptOffsets = (int[])[.. Kept[..^1], KeptTokens.MaxSpan] }));
    }
}
