using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Opaque;
using KvMesh.Codecs.Payloads;
using KvMesh.Protocol.Coding;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;

namespace KvMesh.Client.Tests;

/// <summary>Blocks that come encoded and are decoded by the client.</summary>
public sealed class EncodedReadTests
{
    private const int BlockBytes = 256 * 1024;

    /// <summary>Four layers of two heads of 64 channels in bf16.</summary>
    private static readonly KvLayout Layout = new(KvElement.BFloat16, 128, Enumerable.Repeat(LayerLayout.Full(2, 64), 4));
    private static readonly byte[] Block = Tensor(1);
    private static readonly byte[] Encoded = Encode(Block);

    [Fact]
    public async Task A_block_travels_in_fewer_bytes_and_is_decoded_into_the_callers_memory()
    {
        using var node = new ScriptedNode((_, _) => new ScriptedBlock(Encoded: Encoded) { Block = Block });
        await using var client = await node.ConnectAsync(new PayloadDecoder(Layout));
        var destination = new byte[BlockBytes];

        var result = await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), destination, default);

        Assert.Equal(new GetResult(GetStatus.Hit, BlockBytes), result);
        Assert.Equal(Block, destination);
        Assert.Equal(new EncodedFigures(1, Encoded.Length, BlockBytes, 0, 0), client.Encoded);
        Assert.InRange(Interlocked.Read(ref node.SentBytes), 1, BlockBytes * 8 / 10);
        var request = Assert.Single(node.Requests);
        Assert.Equal(GetFlags.AcceptEncoded, request.Flags);
        Assert.True(request.Codecs.Contains((ushort)CodecId.Lossless) && request.Codecs.Contains((ushort)OpaqueCodec.Id));
    }

    [Fact]
    public async Task Opened_blocks_and_values_of_opaque_keys_come_encoded_too()
    {
        using var node = new ScriptedNode((request, _) => request.MaxBytes < BlockBytes
            ? new ScriptedBlock(Plain: new byte[request.MaxBytes])
            : new ScriptedBlock(Encoded: Encoded) { Block = Block });
        await using var client = await node.ConnectAsync(new PayloadDecoder(Layout));
        var destination = new byte[BlockBytes];

        Assert.True((await client.GetKeyAsync("key"u8.ToArray(), destination, default)).IsHit);

        Assert.Equal(Block, destination);
        Assert.Equal(1, client.Encoded.Blocks);
    }

    [Fact]
    public async Task Encoded_blocks_plain_ones_and_misses_come_with_one_request()
    {
        using var node = new ScriptedNode((_, index) => (index % 3) switch
        {
            0 => new ScriptedBlock(Encoded: Encoded) { Block = Block },
            1 => new ScriptedBlock(Plain: Tensor(index)),
            _ => new ScriptedBlock(),
        });
        await using var client = await node.ConnectAsync(new PayloadDecoder(Layout));
        var destination = new byte[6 * BlockBytes];
        var results = new GetResult[6];
        var hashes = Enumerable.Range(0, 6).SelectMany(index => TestBytes.Hash(1, index)).ToArray();

        Assert.Equal(4, await client.GetManyAsync(NodeFixture.Scope, hashes, destination, BlockBytes, results, default));

        Assert.Equal([true, true, false, true, true, false], results.Select(result => result.IsHit));
        Assert.Equal(Block, destination[..BlockBytes]);
        Assert.Equal(Tensor(1), destination[BlockBytes..(2 * BlockBytes)]);
        Assert.Equal(Block, destination[(3 * BlockBytes)..(4 * BlockBytes)]);
        Assert.Single(node.Requests);
        Assert.Equal(2, client.Encoded.Blocks);
    }

    [Fact]
    public async Task Encoded_bytes_that_do_not_match_are_a_miss_and_reported()
    {
        using var node = new ScriptedNode((_, _) => new ScriptedBlock(Encoded: Encoded) { Block = Block, IsDamaged = true });
        await using var client = await node.ConnectAsync(new PayloadDecoder(Layout));

        Assert.Equal(GetStatus.Miss, (await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), new byte[BlockBytes], default)).Status);

        Assert.Equal(1, client.Encoded.Mismatches);
        await Eventually.Holds(() => node.Others.Contains(Verb.Report), "the report of the mismatch");
    }

    [Theory]
    [InlineData("layout")]
    [InlineData("bytes")]
    [InlineData("length")]
    [InlineData("decoder")]
    public async Task What_cannot_be_decoded_here_is_asked_for_again_as_it_is(string wrong)
    {
        var sent = wrong switch
        {
            "bytes" => new ScriptedBlock(Encoded: Encode(Tensor(9))) { Block = Block },
            "length" => new ScriptedBlock(Encoded: Encoded) { Block = [.. Block, 1, 2] },
            _ => new ScriptedBlock(Encoded: Encoded) { Block = Block },
        };
        using var node = new ScriptedNode((request, _) => request.Flags == GetFlags.AcceptEncoded ? sent : new ScriptedBlock(Plain: Block));
        IPayloadDecoder decoder = wrong == "layout" ? new PayloadDecoder() : wrong == "decoder" ? new LyingDecoder() : new PayloadDecoder(Layout);
        await using var client = await node.ConnectAsync(decoder);
        var destination = new byte[BlockBytes + 2];

        var result = await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), destination, default);

        Assert.Equal(new GetResult(GetStatus.Hit, BlockBytes), result);
        Assert.Equal(Block, destination[..BlockBytes]);
        Assert.Equal((0L, 1L), (client.Encoded.Blocks, client.Encoded.Undecoded));
        Assert.Equal([GetFlags.AcceptEncoded, GetFlags.None], node.Requests.Select(request => request.Flags));
    }

    [Fact]
    public async Task A_codec_that_was_not_asked_for_ends_the_connection()
    {
        using var node = new ScriptedNode((_, _) => new ScriptedBlock(Encoded: Encoded) { Block = Block, Codec = 63 });
        await using var client = await node.ConnectAsync(new PayloadDecoder(Layout));

        Assert.Equal(GetStatus.Failed, (await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), new byte[BlockBytes], default)).Status);
    }

    [Theory]
    [InlineData(true, NativeCapabilities.None)]
    [InlineData(false, NativeCapabilities.EncodedBlocks)]
    public async Task Encoded_blocks_are_asked_for_only_where_both_sides_know_them(bool hasDecoder, NativeCapabilities capabilities)
    {
        using var node = new ScriptedNode((_, _) => new ScriptedBlock(Plain: Block), capabilities);
        await using var client = await node.ConnectAsync(hasDecoder ? new PayloadDecoder(Layout) : null);

        Assert.True((await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), new byte[BlockBytes], default)).IsHit);

        Assert.Equal(GetFlags.None, Assert.Single(node.Requests).Flags);
        Assert.Equal(default, client.Encoded);
    }

    [Fact]
    public async Task A_node_that_was_replaced_by_an_older_one_is_asked_again_as_it_understands()
    {
        using var node = new ScriptedNode((request, _) => request.Flags == GetFlags.None ? new ScriptedBlock(Plain: Block) : null);
        await using var client = await node.ConnectAsync(new PayloadDecoder(Layout));
        var destination = new byte[BlockBytes];

        Assert.True((await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), destination, default)).IsHit);

        Assert.Equal(Block, destination);
    }

    [Fact]
    public async Task A_real_node_understands_the_request()
    {
        await using var node = new NodeFixture();
        var client = await node.ConnectAsync(change: options => options with { Decoder = new PayloadDecoder(Layout) });
        await client.PutAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), default, Block, default);
        var destination = new byte[BlockBytes];

        Assert.True((await client.GetAsync(NodeFixture.Scope, TestBytes.Hash(1, 0), destination, default)).IsHit);

        Assert.Equal(Block, destination);
    }

    /// <summary>Small numbers in bf16, whose exponents are much alike.</summary>
    private static byte[] Tensor(int seed)
    {
        var random = new Random(seed);
        var bytes = new byte[BlockBytes];
        for (var at = 0; at < bytes.Length; at += 2)
        {
            var number = (float)((random.NextDouble() - random.NextDouble()) * 3);
            BitConverter.TryWriteBytes(bytes.AsSpan(at), (ushort)(BitConverter.SingleToUInt32Bits(number) >> 16));
        }

        return bytes;
    }

    private static byte[] Encode(byte[] block)
    {
        var part = new CodedPreamble(BlockOrder.LayerPartTokenHead, KvElement.BFloat16, 128, 0, 4, 0, 0);
        var codec = CodecRegistry.Standard.Find("lossless")!;
        var geometry = new BlockGeometry(Layout, part.Order, part.Region);
        var encoded = new byte[CodedPreamble.Bytes + BlockEncoder.MaxBytes(codec, geometry)];
        part.Write(encoded, Layout.Hash);
        var bytes = BlockEncoder.Encode(codec, geometry, block, firstPosition: 0, default, encoded.AsSpan(CodedPreamble.Bytes), new CodecScratch());
        return encoded[..(CodedPreamble.Bytes + bytes)];
    }

    /// <summary>Says that it decoded what it has not.</summary>
    private sealed class LyingDecoder : IPayloadDecoder
    {
        public CodecKinds Kinds => CodecKinds.Of([(ushort)CodecId.Lossless]);

        public bool TryDecode(ushort codec, ReadOnlySpan<byte> encoded, Span<byte> payload) => true;
    }
}
