using System.Text;
using KvMesh.Codecs.Payloads;
using KvMesh.Engine.Coding;
using KvMesh.Protocol.Keys;
using KvMesh.Server.Coding;
using KvMesh.Server.Options;
using KvMesh.TestKit;

namespace KvMesh.Server.Tests.Coding;

public sealed class TensorCoderTests : IDisposable
{
    private const string Hash = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    private readonly CoderCase _case = new();

    public void Dispose() => _case.Dispose();

    [Theory]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16", 64 * 1024)]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16kv_bytes", 64 * 1024)]
    [InlineData("org/Tiny-1@1@0@-7f3e@half", 64 * 1024)]
    [InlineData("org/Tiny-1@1@0@deadbeef@fp8_e4m3fn", 32 * 1024)]
    [InlineData("org/Tiny-1@2@1@deadbeef@bfloat16", 32 * 1024)]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16@1", 32 * 1024)]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16@lmcache.tag.user%7", 64 * 1024)]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16", 16 * 1024)]
    [InlineData("vllm@org/Tiny-1@1@0@" + Hash, 64 * 1024)]
    [InlineData("org/Tiny-1@01000100@0@" + Hash, 64 * 1024)]
    [InlineData("org/Tiny-1@02010201@0@" + Hash + "@salt", 32 * 1024)]
    [InlineData("tiny:anything", 64 * 1024)]
    public void Blocks_of_drop_in_keys_become_shorter_and_come_back(string key, int bytes)
    {
        var coder = _case.Open();
        var payload = CoderCase.Tensor(1, bytes);

        var encoded = Encode(coder, Encoding.UTF8.GetBytes(key), payload);

        Assert.InRange(encoded.Length, 1, bytes * 9 / 10);
        Assert.Equal(payload, Decode(coder, encoded, bytes));
    }

    [Fact]
    public void Blocks_of_native_keys_are_found_by_the_hash_of_their_layout()
    {
        var coder = _case.Open();
        var layout = LayoutBook.Load(_case.Options).FindByModel("org/Tiny")!.Layout;
        var payload = CoderCase.Tensor(2, CoderCase.BlockBytes);
        var key = new BlockScope("some model", "1", layout.Hash, 0).KeyOf(TestBytes.Hash(1, 1));

        Assert.Equal(payload, Decode(coder, Encode(coder, key, payload), payload.Length));
        Assert.Equal(CodingAdvice.UnknownLayout, Advise(coder, new BlockScope("some model", "1", layout.Hash, 1).KeyOf(TestBytes.Hash(1, 1)), payload.Length));
        Assert.Equal(CodingAdvice.UnknownLayout, Advise(coder, new BlockScope("some model", "1", new byte[32], 0).KeyOf(TestBytes.Hash(1, 1)), payload.Length));
    }

    [Theory]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16", (64 * 1024) - 2, CodingAdvice.WrongSize)]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16", 128 * 1024, CodingAdvice.WrongSize)]
    [InlineData("org/Tiny-1@3@1@deadbeef@bfloat16", 32 * 1024, CodingAdvice.WrongSize)]
    [InlineData("org/Other@1@0@deadbeef@bfloat16", 64 * 1024, CodingAdvice.UnknownLayout)]
    [InlineData("org/Tiny-1@1@0@deadbeef@float", 64 * 1024, CodingAdvice.UnknownLayout)]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16@2", 32 * 1024, CodingAdvice.UnknownLayout)]
    [InlineData("org/Tiny-1@2@2@deadbeef@bfloat16", 32 * 1024, CodingAdvice.UnknownLayout)]
    [InlineData("a key", 64 * 1024, CodingAdvice.UnknownLayout)]
    [InlineData("org/Tiny-1@1@0@deadbeef@bfloat16metadata", 28, CodingAdvice.Raw)]
    public void What_is_not_a_block_of_a_known_layout_is_not_encoded(string key, int bytes, CodingAdvice advice) =>
        Assert.Equal(advice, Advise(_case.Open(), Encoding.UTF8.GetBytes(key), bytes));

    [Theory]
    [InlineData("lossless")]
    [InlineData("kivi4-g64")]
    [InlineData("ecq-0.34")]
    public void A_large_block_is_the_same_bytes_whoever_shares_it(string codec)
    {
        const int Bytes = 4 << 20;
        using var files = new CoderCase("""{ "layouts": [ { "name": "large", "layers": 8, "kvHeads": 4, "headChannels": 128, "ropeTheta": 10000 } ] }""");
        var payload = CoderCase.Tensor(3, Bytes);
        var key = "large@1@0@deadbeef@bfloat16"u8.ToArray();
        var expected = Encode(files.Open(codecs => codecs.Disk = codec), key, payload, codec);
        var decoded = Decode(files.Open(), expected, Bytes);
        for (var threads = 2; threads <= 5; threads++)
        {
            var coder = files.Open(codecs => codecs.Disk = codec, threads);
            Assert.Equal(expected, Encode(coder, key, payload, codec));
            var back = new byte[Bytes];
            Assert.True(coder.TryReadBack(expected, back));
            Assert.Equal(decoded, back);
        }
    }

    [Fact]
    public void A_coder_that_was_stopped_encodes_nothing_and_still_decodes()
    {
        var coder = _case.Open();
        var key = "org/Tiny-1@1@0@deadbeef@bfloat16"u8.ToArray();
        var payload = CoderCase.Tensor(4, CoderCase.BlockBytes);
        var encoded = Encode(coder, key, payload);

        coder.StopEncoding();

        Assert.Equal(CodingAdvice.Encode, coder.Advise(CoderCase.Block(key, payload.Length), out var maxBytes));
        Assert.Equal(0, coder.Encode(CoderCase.Block(key, payload.Length), payload, new byte[maxBytes]).Bytes);
        Assert.Equal(payload, Decode(coder, encoded, payload.Length));
    }

    [Fact]
    public void Nothing_is_encoded_unless_a_policy_says_so()
    {
        var coder = _case.Open(codecs => codecs.Disk = "raw");

        Assert.Equal(CodingAdvice.Raw, Advise(coder, "org/Tiny-1@1@0@deadbeef@bfloat16"u8.ToArray(), CoderCase.BlockBytes));
    }

    [Fact]
    public void The_first_rule_that_names_tenant_and_layout_counts()
    {
        var key = "org/Tiny-1@1@0@deadbeef@bfloat16"u8.ToArray();
        var coder = _case.Open(codecs =>
        {
            codecs.Disk = "raw";
            codecs.Rules.Add(new CodecRuleOptions { Tenant = "a", Layout = "llama-3-8b", Disk = "lossless" });
            codecs.Rules.Add(new CodecRuleOptions { Tenant = "a", Disk = "raw" });
            codecs.Rules.Add(new CodecRuleOptions { Layout = "tiny", Disk = "lossless" });
        });

        Assert.Equal(CodingAdvice.Raw, Advise(coder, key, CoderCase.BlockBytes, "a"));
        Assert.Equal(CodingAdvice.Encode, Advise(coder, key, CoderCase.BlockBytes, "b"));
        Assert.Equal(CodingAdvice.Raw, Advise(coder, "llama-3-8b@1@0@deadbeef@bfloat16"u8.ToArray(), 32 << 20, "b"));
        Assert.Equal(CodingAdvice.Encode, Advise(coder, "llama-3-8b@1@0@deadbeef@bfloat16"u8.ToArray(), 32 << 20, "a"));
    }

    [Fact]
    public void Disk_and_Redis_have_policies_of_their_own()
    {
        var options = _case.Options;
        options.Codecs.Redis = "lossless";
        var book = LayoutBook.Open(options);
        var key = "org/Tiny-1@1@0@deadbeef@bfloat16"u8.ToArray();

        Assert.Equal(CodingAdvice.Raw, Advise(new TensorCoder(book, CodecPolicy.OfDisk(options.Codecs), TimeProvider.System), key, CoderCase.BlockBytes));
        Assert.Equal(CodingAdvice.Encode, Advise(new TensorCoder(book, CodecPolicy.OfRedis(options.Codecs), TimeProvider.System), key, CoderCase.BlockBytes));
    }

    [Fact]
    public void What_was_written_is_read_without_its_file_of_layouts_and_under_another_policy()
    {
        var payload = CoderCase.Tensor(3, CoderCase.BlockBytes);
        var encoded = Encode(_case.Open(), "tiny:1"u8.ToArray(), payload);
        _case.ForgetLayouts();

        var later = _case.Open(codecs => codecs.Disk = "raw");

        Assert.Equal(payload, Decode(later, encoded, payload.Length));
    }

    [Fact]
    public void Bytes_of_another_length_are_refused()
    {
        var coder = _case.Open();
        var encoded = Encode(coder, "tiny:1"u8.ToArray(), CoderCase.Tensor(4, CoderCase.BlockBytes));

        Assert.Null(Decode(coder, encoded, CoderCase.BlockBytes - 2));
        Assert.Null(Decode(coder, encoded, CoderCase.BlockBytes * 2));
        Assert.Null(Decode(coder, [], CoderCase.BlockBytes));
    }

    [Fact]
    public void Damaged_bytes_are_refused_or_decode_within_the_block()
    {
        var coder = _case.Open();
        var encoded = Encode(coder, "tiny:1"u8.ToArray(), CoderCase.Tensor(5, 16 * 1024));
        Fuzz.Run(3000, random =>
        {
            var damaged = random.Next(2) == 0 ? Fuzz.Damage(random, encoded) : encoded.ToArray();
            if (damaged.Length >= CodedPreamble.Bytes)
            {
                damaged[random.Next(CodedPreamble.Bytes)] = (byte)random.Next(256);
            }

            Decode(coder, damaged, 16 * 1024);
        });
    }

    [Theory]
    [InlineData("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b")]
    [InlineData("meta-llama/Meta-Llama-3-8B", "llama-3-8b")]
    [InlineData("mistralai/Mistral-7B-Instruct-v0.2", "mistral-7b")]
    [InlineData("Qwen/Qwen2.5-7B-Instruct", "qwen2.5-7b")]
    [InlineData("deepseek-ai/DeepSeek-V3-0324", "deepseek-v3")]
    [InlineData("deepseek-v3-fp8-ds-mla", "deepseek-v3-fp8-ds-mla")]
    [InlineData("somebody/else", null)]
    public void Models_are_known_by_the_names_of_hubs(string model, string? layout) =>
        Assert.Equal(layout, LayoutBook.Load(_case.Options).FindByModel(model)?.Name);

    private static CodingAdvice Advise(TensorCoder coder, byte[] key, int bytes, string tenant = "default") =>
        coder.Advise(CoderCase.Block(key, bytes, tenant), out _);

    private static byte[] Encode(TensorCoder coder, byte[] key, byte[] payload, string codec = "lossless")
    {
        var block = CoderCase.Block(key, payload.Length);
        Assert.Equal(CodingAdvice.Encode, coder.Advise(block, out var maxBytes));
        var destination = new byte[maxBytes];
        var encoded = coder.Encode(block, payload, destination);
        Assert.Equal(codec, encoded.Name);
        Assert.InRange(encoded.Bytes, 1, maxBytes);
        return destination[..encoded.Bytes];
    }

    private static byte[]? Decode(TensorCoder coder, byte[] encoded, int bytes)
    {
        var payload = new byte[bytes];
        return coder.TryDecode(encoded, payload, out _) ? payload : null;
    }
}
