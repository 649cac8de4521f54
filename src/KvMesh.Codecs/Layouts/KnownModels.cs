using System.Collections.Frozen;

namespace KvMesh.Codecs.Layouts;

/// <summary>Layouts of models that many fleets serve, so that drop-in traffic needs no description. Published configurations.</summary>
public static class KnownModels
{
    private static readonly FrozenDictionary<string, Func<KvLayout>> Models = new Dictionary<string, Func<KvLayout>>
    {
        ["llama-2-7b"] = () => Uniform(32, 32, 32, 10_000),
        ["llama-3-8b"] = () => Uniform(32, 32, 8, 500_000),
        ["llama-3.1-8b"] = () => Uniform(32, 32, 8, 500_000, RopeScaling.Llama3),
        ["llama-3-70b"] = () => Uniform(80, 64, 8, 500_000),
        ["llama-3.1-70b"] = () => Uniform(80, 64, 8, 500_000, RopeScaling.Llama3),
        ["llama-3.1-405b"] = () => Uniform(126, 128, 8, 500_000, RopeScaling.Llama3),
        ["mistral-7b"] = () => Uniform(32, 32, 8, 1_000_000),
        ["qwen2.5-7b"] = () => Uniform(28, 28, 4, 1_000_000),
        ["qwen2.5-32b"] = () => Uniform(64, 40, 8, 1_000_000),
        ["qwen3-8b"] = () => Uniform(36, 32, 8, 1_000_000),
        ["deepseek-v2"] = () => DeepSeek(60),
        ["deepseek-v3"] = () => DeepSeek(61),
        ["deepseek-v3-fp8-ds-mla"] = () => ScaledDeepSeek(61),
    }.ToFrozenDictionary(entry => entry.Key, entry => entry.Value, StringComparer.OrdinalIgnoreCase);

    /// <summary>Tokens per block of these layouts: LMCache's chunk.</summary>
    public const int BlockTokens = 256;

    public static IEnumerable<string> Names => Models.Keys.Order(StringComparer.Ordinal);

    /// <summary>The bf16 layout of a model in blocks of 256 tokens, by its name in lower or upper case; null when it is not known.</summary>
    public static KvLayout? Find(string name) => Models.TryGetValue(name, out var create) ? create() : null;

    private static KvLayout Uniform(int layers, int queryHeads, int kvHeads, double theta, RopeScaling scaling = RopeScaling.None)
    {
        const int Channels = 128;
        var rope = new RopeSpec
        {
            Theta = theta,
            RotaryChannels = Channels,
            Scaling = scaling,
            Factor = scaling == RopeScaling.Llama3 ? 8 : 1,
        };
        var layer = LayerLayout.Full(kvHeads, Channels) with { QueryHeads = queryHeads };
        return new KvLayout(KvElement.BFloat16, BlockTokens, Enumerable.Repeat(layer, layers), rope);
    }

    // The frequencies of these models are stretched by YaRN, which no codec needs to undo: their rotated part is never coded below 8 bits.
    private static KvLayout DeepSeek(int layers) =>
        new(KvElement.BFloat16, BlockTokens, Enumerable.Repeat(LayerLayout.Latent(512, 64), layers));

    /// <summary>The fp8 layout of vLLM's sparse kernels: 512 fp8 values, four single scales, 64 bf16 values a token and layer.</summary>
    private static KvLayout ScaledDeepSeek(int layers) => new(
        KvElement.BFloat16, BlockTokens,
        Enumerable.Repeat(LayerLayout.Latent(512, 64) with { LatentElement = KvElement.Fp8E4M3, LatentTailBytes = 4 * sizeof(float) }, layers));
}
