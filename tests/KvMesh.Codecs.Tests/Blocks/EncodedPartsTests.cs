using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Tests.Blocks;

public sealed class EncodedPartsTests
{
    private static readonly KvLayout Layout = new(
        KvElement.BFloat16, 32, [LayerLayout.Full(8, 32), LayerLayout.Latent(64, 32), LayerLayout.Full(8, 32) with { KeyAlias = 0 }]);

    private static readonly EncodeOptions Options = new() { RecordsDecodedChecksums = true };

    [Fact]
    public void Ranks_read_what_another_number_of_ranks_encoded()
    {
        int[] sizes = [1, 2, 4, 8];
        var block = BlockCase.Of(Layout);
        foreach (var codec in CodecRegistry.Standard.Presets.Where(codec => !codec.JoinsHeads))
        {
            foreach (var from in sizes)
            {
                var held = Ranks(from).Select(part => (ReadOnlyMemory<byte>)Encode(codec, block, part)).ToArray();
                foreach (var part in sizes.SelectMany(Ranks))
                {
                    var buffer = new byte[EncodedParts.MaxBytes(held)];
                    Assert.Equal(DecodeResult.Ok, EncodedParts.Assemble(held, part, buffer, out var length));
                    Assert.Equal(Encode(codec, block, part), buffer[..length]);
                }
            }
        }
    }

    [Fact]
    public void Layers_of_pipeline_ranks_are_put_together()
    {
        var codec = CodecRegistry.Standard.Find("int8")!;
        var block = BlockCase.Of(Layout);
        ReadOnlyMemory<byte>[] held =
        [
            Encode(codec, block, Part(BlockRegion.Whole(Layout) with { LayerCount = 2 })),
            Encode(codec, block, Part(BlockRegion.Whole(Layout) with { FirstLayer = 2, LayerCount = 1 })),
        ];
        var buffer = new byte[EncodedParts.MaxBytes(held)];
        Assert.Equal(DecodeResult.Ok, EncodedParts.Assemble(held, block.Geometry, buffer, out var length));
        Assert.Equal(block.Encode(codec, 0, Options), buffer[..length]);
    }

    [Fact]
    public void What_is_missing_spoilt_or_of_another_codec_is_told()
    {
        var codec = CodecRegistry.Standard.Find("int8")!;
        var block = BlockCase.Of(Layout);
        var half = Encode(codec, block, Part(BlockRegion.Rank(Layout, 0, 2)));
        var buffer = new byte[4 * half.Length];
        Assert.Equal(DecodeResult.NotHere, EncodedParts.Assemble([half], block.Geometry, buffer, out _));
        Assert.Equal(DecodeResult.NotHere, EncodedParts.Assemble([], block.Geometry, buffer, out _));
        var raw = Encode(CodecRegistry.Standard.Find("raw")!, block, Part(BlockRegion.Rank(Layout, 1, 2)));
        Assert.Equal(DecodeResult.Malformed, EncodedParts.Assemble([half, raw], block.Geometry, new byte[8 * raw.Length], out _));

        var spoilt = half.ToArray();
        spoilt[^1] ^= 1;
        Assert.Equal(DecodeResult.BadChecksum, EncodedParts.Assemble([spoilt], Part(BlockRegion.Rank(Layout, 0, 2)), buffer, out _));
    }

    private static byte[] Encode(KvCodec codec, BlockCase block, BlockGeometry part)
    {
        var buffer = new byte[BlockEncoder.MaxBytes(codec, part)];
        return buffer[..BlockEncoder.Encode(codec, part, block.Slice(part), 0, Options, buffer, new CodecScratch())];
    }

    private static IEnumerable<BlockGeometry> Ranks(int size) => Enumerable.Range(0, size).Select(rank => Part(BlockRegion.Rank(Layout, rank, size)));

    private static BlockGeometry Part(BlockRegion region) => new(Layout, BlockOrder.LayerPartTokenHead, region);
}
