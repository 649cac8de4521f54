using System.Text;
using KvMesh.Codecs.Payloads;
using KvMesh.Engine.Coding;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Coding;
using KvMesh.Server.Options;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

/// <summary>Blocks of which nothing is known but their bytes.</summary>
public sealed class OpaqueBlockTests : IDisposable
{
    private const int BlockBytes = 1 << 20;
    private readonly CoderCase _case = new();

    public void Dispose() => _case.Dispose();

    [Fact]
    public void Bytes_are_coded_where_a_rule_says_so_and_come_back()
    {
        var payload = CoderCase.Tensor(1, BlockBytes);

        var encoded = Encode(Open("opaque"), "a key", payload);

        Assert.InRange(encoded.Length, 1, BlockBytes * 9 / 10);
        var decoded = new byte[BlockBytes];
        Assert.True(Open("raw").TryDecode(encoded, decoded, out var codec));
        Assert.Equal("opaque", codec);
        Assert.Equal(payload, decoded);
        Assert.True(new PayloadDecoder().TryDecode(20, encoded, decoded));
        Assert.False(Open("raw").TryDecode(encoded, new byte[BlockBytes - 1], out _));
    }

    [Theory]
    [InlineData(BlockBytes)]
    [InlineData(64 * 1024)]
    public void Bytes_without_a_pattern_are_left_alone(int bytes) =>
        Assert.Empty(Encode(Open("opaque"), "a key", TestBytes.Payload(1, bytes)));

    [Fact]
    public void A_pattern_anywhere_in_them_is_seen()
    {
        var payload = TestBytes.Payload(2, BlockBytes);
        payload.AsSpan(BlockBytes / 2).Clear();

        Assert.InRange(Encode(Open("opaque"), "a key", payload).Length, 1, BlockBytes * 6 / 10);
    }

    [Theory]
    [InlineData("a", "a key", CodingAdvice.Encode)]
    [InlineData("b", "a key", CodingAdvice.UnknownLayout)]
    [InlineData("a", "org/Tiny-1@1@0@deadbeef@bfloat16", CodingAdvice.Encode)]
    [InlineData("b", "org/Tiny-1@1@0@deadbeef@bfloat16", CodingAdvice.WrongSize)]
    public void A_rule_may_be_for_one_tenant_and_takes_blocks_of_a_wrong_size_too(string tenant, string key, CodingAdvice advice)
    {
        var coder = _case.Open(codecs => codecs.Rules.Add(new CodecRuleOptions { Tenant = "a", Layout = "opaque", Disk = "opaque" }));

        Assert.Equal(advice, coder.Advise(CoderCase.Block(Encoding.UTF8.GetBytes(key), BlockBytes, tenant), out _));
    }

    [Fact]
    public void No_other_rule_touches_them()
    {
        var coder = _case.Open(codecs => codecs.Rules.Add(new CodecRuleOptions { Disk = "lossless" }));

        Assert.Equal(CodingAdvice.UnknownLayout, coder.Advise(CoderCase.Block("a key"u8.ToArray(), BlockBytes), out _));
    }

    [Theory]
    [InlineData("opaque", "lossless", "Codecs:Rules:0:Disk is \"lossless\"; for blocks of which no layout is known it must be raw or opaque.")]
    [InlineData("tiny", "opaque", "Codecs:Rules:0:Disk is \"opaque\"; \"opaque\" is none of raw, ")]
    public void The_codec_and_the_layout_belong_together(string layout, string codec, string message)
    {
        var options = _case.Options;
        options.Codecs.Rules.Add(new CodecRuleOptions { Layout = layout, Disk = codec });

        var exception = Assert.Throws<NodeOptionsException>(() => NodeOptionsReader.Check(options));

        Assert.StartsWith(message, Assert.Single(exception.Errors), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Values_of_any_key_come_back_through_a_node_that_codes_them()
    {
        await using var node = await TestNode.StartAsync(options =>
        {
            options.Engine.ArenaBytes = 4 << 20;
            options.Engine.Disk.CapacityBytes = 64 << 20;
            options.Engine.Disk.EncodeShare = 1;
            options.Codecs.Rules.Add(new CodecRuleOptions { Layout = "opaque", Disk = "opaque" });
        });
        using var client = await RespBlocks.ConnectAsync(node.Node.Endpoints.Resp!);
        var payloads = new List<byte[]>();
        await Eventually.Holds(
            async () =>
            {
                for (var more = 0; more < 24; more++)
                {
                    payloads.Add(CoderCase.Tensor(payloads.Count, CoderCase.BlockBytes));
                    await client.SetAsync($"any:{payloads.Count - 1}", payloads[^1]);
                }

                for (var index = 0; index < payloads.Count; index++)
                {
                    if (await client.GetAsync($"any:{index}") is { } value)
                    {
                        Assert.True(payloads[index].AsSpan().SequenceEqual(value), $"block {index} came back changed");
                    }
                }

                return (await node.GetAsync<NodeStatus>(AdminRoutes.Status)).Coding!.Codecs.Any(codec => codec is { Name: "opaque", DecodedBlocks: > 0 });
            },
            "a value that was decoded from disk");
    }

    private TensorCoder Open(string codec) => _case.Open(codecs =>
    {
        codecs.Disk = "raw";
        codecs.Rules.Add(new CodecRuleOptions { Layout = "opaque", Disk = codec });
    });

    private static byte[] Encode(TensorCoder coder, string key, byte[] payload)
    {
        var block = CoderCase.Block(Encoding.UTF8.GetBytes(key), payload.Length);
        Assert.Equal(CodingAdvice.Encode, coder.Advise(block, out var maxBytes));
        var destination = new byte[maxBytes];
        return destination[..coder.Encode(block, payload, destination).Bytes];
    }
}
