using System.Collections.Immutable;
using System.Text.Json;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Worker.Model.Files;

/// <summary>The shape of a model of the Llama family, from the config.json of Hugging Face. What this code does not compute is refused by name.</summary>
public sealed record ModelConfig
{
    /// <summary>Most tokens of a context.</summary>
    public const int MaxPositions = 1 << 24;

    /// <summary>What widths are a multiple of: the numbers of the widest vector register.</summary>
    public const int WidthStep = 16;

    private const int MaxWidth = 1 << 17;
    private const int MaxHeads = 1024;
    private const int MaxHeadChannels = 512;
    private const int MaxVocabulary = 1 << 22;

    public required int Vocabulary { get; init; }

    /// <summary>Channels of the residual stream.</summary>
    public required int Hidden { get; init; }

    /// <summary>Channels between the two halves of the feed-forward part.</summary>
    public required int Intermediate { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    /// <summary>Heads of keys and values; <see cref="Heads"/> is a multiple of it.</summary>
    public required int KvHeads { get; init; }

    public required int HeadChannels { get; init; }

    public required RopeSpec Rope { get; init; }

    public required float NormEpsilon { get; init; }

    /// <summary>Whether the head is the embedding.</summary>
    public bool IsTied { get; init; }

    /// <summary>Whether the projections of attention add a vector.</summary>
    public bool HasAttentionBias { get; init; }

    /// <summary>Whether those of the feed-forward part do.</summary>
    public bool HasFeedForwardBias { get; init; }

    /// <summary>Longest sequence.</summary>
    public int MaxTokens { get; init; } = 2048;

    /// <summary>Query heads that read one KV head.</summary>
    public int GroupSize => Heads / KvHeads;

    public int? BeginToken { get; init; }

    /// <summary>Tokens that end a text.</summary>
    public ImmutableArray<int> EndTokens { get; init; } = [];

    /// <exception cref="ModelFileException">A field is missing, out of its range, or asks for what is not computed here.</exception>
    public static ModelConfig Read(string file)
    {
        using var document = ModelJson.Read(file);
        var root = document.RootElement;
        Refuse(file, root);
        var hidden = Width(file, root, "hidden_size");
        var heads = ModelJson.Integer(file, root, "num_attention_heads", 1, MaxHeads);
        var kvHeads = ModelJson.Integer(file, root, "num_key_value_heads", 1, heads, heads);
        var channels = ModelJson.Integer(file, root, "head_dim", 2, MaxHeadChannels, hidden / heads);
        var vocabulary = ModelJson.Integer(file, root, "vocab_size", 1, MaxVocabulary);
        if (heads % kvHeads != 0)
        {
            throw new ModelFileException(file, $"'num_attention_heads' is {heads}; it must be a multiple of 'num_key_value_heads', {kvHeads}.");
        }

        if (channels % 2 != 0 || channels is < 2 or > MaxHeadChannels)
        {
            throw new ModelFileException(file, $"'head_dim' is {channels}; it must be an even number from 2 to {MaxHeadChannels}.");
        }

        var (rope, maxTokens) = RopeReader.Read(file, root, channels, ModelJson.Integer(file, root, "max_position_embeddings", 1, MaxPositions, 2048));
        return new ModelConfig
        {
            Vocabulary = vocabulary,
            Hidden = hidden,
            Intermediate = Width(file, root, "intermediate_size"),
            Layers = ModelJson.Integer(file, root, "num_hidden_layers", 1, KvLayout.MaxLayers),
            Heads = heads,
            KvHeads = kvHeads,
            HeadChannels = channels,
            Rope = rope,
            MaxTokens = maxTokens,
            NormEpsilon = (float)ModelJson.Number(file, root, "rms_norm_eps", 1e-12, 1, 1e-6),
            IsTied = ModelJson.Flag(file, root, "tie_word_embeddings", false),
            HasAttentionBias = ModelJson.Flag(file, root, "attention_bias", false),
            HasFeedForwardBias = ModelJson.Flag(file, root, "mlp_bias", false),
            BeginToken = ModelJson.TryGet(root, "bos_token_id", out _) ? ModelJson.Integer(file, root, "bos_token_id", 0, vocabulary - 1) : null,
            EndTokens = EndsOf(file, root, vocabulary),
        };
    }

    private static void Refuse(string file, JsonElement root)
    {
        var type = ModelJson.Text(file, root, "model_type");
        if (type is not ("llama" or "mistral"))
        {
            throw new ModelFileException(file, $"'model_type' is '{type}'; there are llama and mistral.");
        }

        var activation = ModelJson.Text(file, root, "hidden_act", "silu");
        if (activation != "silu")
        {
            throw new ModelFileException(file, $"'hidden_act' is '{activation}'; only silu is computed.");
        }

        foreach (var name in (ReadOnlySpan<string>)["sliding_window", "quantization_config"])
        {
            if (ModelJson.TryGet(root, name, out var value))
            {
                throw new ModelFileException(file, $"'{name}' is {ModelJson.Short(value)}; models with it are not computed, it must be null or absent.");
            }
        }

        if (ModelJson.Number(file, root, "partial_rotary_factor", 0, 1, 1) is var part and < 1)
        {
            throw new ModelFileException(file, $"'partial_rotary_factor' is {part}; all channels must rotate.");
        }
    }

    private static int Width(string file, JsonElement root, string name)
    {
        var width = ModelJson.Integer(file, root, name, WidthStep, MaxWidth);
        return width % WidthStep == 0 ? width : throw new ModelFileException(file, $"'{name}' is {width}; it must be a multiple of {WidthStep}.");
    }

    private static ImmutableArray<int> EndsOf(string file, JsonElement root, int vocabulary)
    {
        if (!ModelJson.TryGet(root, "eos_token_id", out var value))
        {
            return [];
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            return [ModelJson.Integer(file, root, "eos_token_id", 0, vocabulary - 1)];
        }

        return [.. value.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id >= 0 && id < vocabulary
            ? id
            : throw new ModelFileException(file, $"'eos_token_id' holds {ModelJson.Short(item)}; it must hold tokens from 0 to {vocabulary - 1}."))];
    }
}
