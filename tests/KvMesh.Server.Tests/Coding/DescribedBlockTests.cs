using System.Buffers.Binary;
using System.Text;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Payloads;
using KvMesh.Engine.Coding;
using KvMesh.Server.Coding;
using KvMesh.Server.Options;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>Blocks of models that nobody described but their client, in the value beside them.</summary>
public sealed class DescribedBlockTests : IDisposable
{
    private const string Stranger = "nobody/Knows-7B@1@0@deadbeef@bfloat16kv_bytes";
    private const string Tiny = "org/Tiny-1@1@0@deadbeef@bfloat16kv_bytes";
    private readonly CoderCase _case = new();

    public void Dispose() => _case.Dispose();

    [Theory]
    [InlineData(BlockOrder.PartLayerTokenHead, KvElement.BFloat16, 1, 4, 128, 1, 3, 2, 4, 64, 128)]
    [InlineData(BlockOrder.PartLayerTokenHead, KvElement.Float16, 1, 4, 128, 1, 2, 2, 4, 64, 128)]
    [InlineData(BlockOrder.PartLayerTokenHead, KvElement.Float16, 1, 4, 128, 1, 1, 2, 4, 64, 128)]
    [InlineData(BlockOrder.PartLayerTokenHead, KvElement.Fp8E4M3, 2, 4, 128, 1, 7, 2, 4, 64, 256)]
    [InlineData(BlockOrder.PartLayerTokenHead, KvElement.BFloat16, 3, 4, 64, 1, 3, 2, 4, 64, 192)]
    [InlineData(BlockOrder.PartLayerTokenHead, KvElement.BFloat16, 1, 4, 100, 1, 3, 2, 4, 64, 100)]
    [InlineData(BlockOrder.LayerTokenPartHead, KvElement.BFloat16, 4, 1, 128, 2, 3, 64, 2, 512, 0)]
    [InlineData(BlockOrder.PartLayerTokenHead, KvElement.BFloat16, 4, 1, 128, 3, 3, 2, 64, 512, 0)]
    [InlineData(BlockOrder.PartLayerTokenHead, KvElement.BFloat16, 0, 4, 576, 6, 3, 1, 4, 64, 576)]
    public void A_description_is_enough(BlockOrder order, KvElement element, int heads, int layers, int channels, params int[] metadata)
    {
        var bytes = element.Bytes() * (int)metadata.Skip(2).Where(size => size > 0).Aggregate(1L, (product, size) => product * size);
        var payload = CoderCase.Tensor(1, bytes);
        var companion = Metadata([bytes, .. metadata]);

        var encoded = Encode(_case.Open(), Stranger, payload, companion);

        Assert.True(CodedPreamble.TryRead(encoded, out var part));
        Assert.Equal(new PayloadShape(layers, heads, channels), part.Shape);
        Assert.Equal((order, element, 64, layers), (part.Order, part.Element, part.Tokens, part.LayerCount));

        // Nothing of it is kept anywhere: any node reads it.
        using var other = new CoderCase("""{ "layouts": [] }""");
        Assert.Equal(payload, Decode(other.Open(codecs => codecs.Disk = "raw"), encoded, bytes));
    }

    [Fact]
    public void A_layout_with_a_name_tells_of_heads_and_rotation_as_well()
    {
        var payload = CoderCase.Tensor(2, CoderCase.BlockBytes);

        var encoded = Encode(_case.Open(), Tiny, payload, Metadata(CoderCase.BlockBytes, 1, 3, 2, 2, 64, 128));

        Assert.True(CodedPreamble.TryRead(encoded, out var part));
        Assert.True(part.Shape.IsNone);
        Assert.Equal((BlockOrder.PartLayerTokenHead, 64, 2), (part.Order, part.Tokens, part.LayerCount));
    }

    [Fact]
    public void A_description_counts_more_than_a_name()
    {
        var bytes = 2 * 2 * 3 * 64 * 128;

        var encoded = Encode(_case.Open(), Tiny, CoderCase.Tensor(3, bytes), Metadata(bytes, 1, 3, 2, 3, 64, 128));

        Assert.True(CodedPreamble.TryRead(encoded, out var part));
        Assert.Equal(new PayloadShape(3, 1, 128), part.Shape);
    }

    [Theory]
    [InlineData(CodingAdvice.UnknownLayout, 65536, 1, 4, 2, 2, 64, 64)]
    [InlineData(CodingAdvice.UnknownLayout, 65536, 4, 6, 65536, 0, 0, 0)]
    [InlineData(CodingAdvice.UnknownLayout, 65536, 1, 3, 1, 4, 64, 128)]
    [InlineData(CodingAdvice.UnknownLayout, 65536, 2, 3, 64, 2, 2, 128)]
    [InlineData(CodingAdvice.UnknownLayout, 65536, 6, 3, 1, 8, 16, 256)]
    [InlineData(CodingAdvice.UnknownLayout, 65536, 1, 3, 2, 2, 64, 127)]
    [InlineData(CodingAdvice.UnknownLayout, 65536, 77, 77, 1, 1, 1, 1)]
    [InlineData(CodingAdvice.UnknownLayout, 65536, 1, 3, 2, 4096, 2, 2)]
    [InlineData(CodingAdvice.UnknownLayout, 131072, 1, 3, 2, 2, 64, 128)]
    [InlineData(CodingAdvice.WrongSize, 131072, 1, 3, 2, 4, 64, 128)]
    public void A_description_that_does_not_fit_leaves_the_block_as_it_is(CodingAdvice advice, params int[] metadata)
    {
        var coder = _case.Open();

        Assert.Equal(advice, Advise(coder, Stranger, CoderCase.BlockBytes, Metadata(metadata)));
        Assert.Equal(advice, Advise(coder, Tiny, CoderCase.BlockBytes, Metadata(metadata)));
    }

    [Fact]
    public void Without_a_description_a_stranger_is_unknown()
    {
        Assert.Equal(CodingAdvice.UnknownLayout, Advise(_case.Open(), Stranger, CoderCase.BlockBytes, []));
        Assert.Equal(CodingAdvice.UnknownLayout, Advise(_case.Open(), Stranger, CoderCase.BlockBytes, [1, 2, 3]));
    }

    [Fact]
    public void Rules_name_described_blocks_as_lmcache()
    {
        var coder = _case.Open(codecs =>
        {
            codecs.Disk = "raw";
            codecs.Rules.Add(new CodecRuleOptions { Layout = BlockShapes.DescribedName, Disk = "lossless" });
        });
        var metadata = Metadata(CoderCase.BlockBytes, 1, 3, 2, 2, 64, 128);

        Assert.Equal(CodingAdvice.Encode, Advise(coder, Stranger, CoderCase.BlockBytes, metadata));
        Assert.Equal(CodingAdvice.Raw, Advise(coder, Tiny, CoderCase.BlockBytes, metadata));
    }

    [Fact]
    public void Any_description_is_followed_or_refused()
    {
        var coder = _case.Open();
        var good = Metadata(CoderCase.BlockBytes, 1, 3, 2, 2, 64, 128);
        var payload = CoderCase.Tensor(4, CoderCase.BlockBytes);
        Fuzz.Run(3000, random =>
        {
            var companion = good.ToArray();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                BinaryPrimitives.WriteInt32LittleEndian(companion.AsSpan(4 * random.Next(7)), random.Next(3) == 0 ? random.Next() : 1 << random.Next(17));
            }

            if (Advise(coder, Stranger, CoderCase.BlockBytes, companion) == CodingAdvice.Encode)
            {
                Assert.Equal(payload, Decode(coder, Encode(coder, Stranger, payload, companion), CoderCase.BlockBytes));
            }
        });
    }

    private static byte[] Metadata(params int[] numbers) => CoderCase.Metadata(numbers);

    private static CodedBlock Block(string key, int bytes, byte[] companion) =>
        new() { Tenant = "default", Model = "", Key = Encoding.UTF8.GetBytes(key), PayloadBytes = bytes, Companion = companion };

    private static CodingAdvice Advise(TensorCoder coder, string key, int bytes, byte[] companion) => coder.Advise(Block(key, bytes, companion), out _);

    private static byte[] Encode(TensorCoder coder, string key, byte[] payload, byte[] companion)
    {
        var block = Block(key, payload.Length, companion);
        Assert.Equal(CodingAdvice.Encode, coder.Advise(block, out var maxBytes));
        var destination = new byte[maxBytes];
        return destination[..coder.Encode(block, payload, destination).Bytes];
    }

    private static byte[]? Decode(TensorCoder coder, byte[] encoded, int bytes)
    {
        var payload = new byte[bytes];
        return coder.TryDecode(encoded, payload, out _) ? payload : null;
    }
}
