using System.Text;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Payloads;
using KvMesh.Engine.Coding;

namespace KvMesh.Server.Tests.Coding;

/// <summary>Blocks with keys as vLLM and SGLang write them to object stores, whose layouts the operator's file names by pattern.</summary>
public sealed class EngineKeyTests : IDisposable
{
    private const string Page = "77d735ce838418aa151bd96b5b1e78ee63860892e0a95c00fe34178442be9b07";

    private readonly CoderCase _case = new("""
        { "layouts": [
          { "name": "sglang", "keys": ["*_meta-llama-Llama-3.1-8B_?_2"], "like": "llama-3.1-8b", "blockTokens": 64, "order": "layer-kv-token-head", "ranks": 2 },
          { "name": "sglang-latent", "keys": ["*_deepseek-ai-DeepSeek-V3"], "like": "deepseek-v3", "blockTokens": 64 },
          { "name": "vllm", "keys": ["kv/*/Llama-3.1-8B/*"], "like": "llama-3.1-8b", "blockTokens": 16, "order": "layer-kv-head-token" }
        ] }
        """);

    public void Dispose() => _case.Dispose();

    [Theory]
    [InlineData(Page + "_meta-llama-Llama-3.1-8B_1_2", 64 * 65536, BlockOrder.LayerPartTokenHead, 2)]
    [InlineData(Page + "_deepseek-ai-DeepSeek-V3", 64 * 61 * 1152, BlockOrder.LayerPartTokenHead, 0)]
    [InlineData("kv/0/Llama-3.1-8B/" + Page + "00000000", 16 * 131072, BlockOrder.LayerPartHeadToken, 0)]
    public void Patterns_tell_what_blocks_are(string key, int bytes, BlockOrder order, int ranks)
    {
        var coder = _case.Open();
        var payload = CoderCase.Tensor(1, bytes);
        var block = CoderCase.Block(Encoding.UTF8.GetBytes(key), bytes);
        Assert.Equal(CodingAdvice.Encode, coder.Advise(block, out var maxBytes));
        var encoded = new byte[maxBytes];

        var written = coder.Encode(block, payload, encoded);

        Assert.InRange(written.Bytes, 1, bytes * 9 / 10);
        Assert.True(CodedPreamble.TryRead(encoded, out var part));
        Assert.Equal((order, ranks), (part.Order, part.Ranks));
        var decoded = new byte[bytes];
        Assert.True(coder.TryDecode(encoded.AsSpan(0, written.Bytes), decoded, out _));
        Assert.Equal(payload, decoded);
    }

    [Theory]
    [InlineData(Page + "_meta-llama-Llama-3.1-8B_1_4", CodingAdvice.UnknownLayout)]
    [InlineData(Page + "_meta-llama-Llama-3.1-8B_1_2_k", CodingAdvice.UnknownLayout)]
    [InlineData(Page + "_meta-llama-Llama-3.1-8B_1_2", CodingAdvice.WrongSize)]
    public void Other_keys_and_lengths_are_not_guessed(string key, CodingAdvice advice) =>
        Assert.Equal(advice, _case.Open().Advise(CoderCase.Block(Encoding.UTF8.GetBytes(key), (64 * 65536) + 2), out _));
}
