using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using KvMesh.TestKit;
using Folders = System.IO.Path;

namespace KvMesh.Worker.Tests.Model;

/// <summary>The shape of a small model with random weights.</summary>
internal sealed record TestShape(string Name)
{
    public int Vocabulary { get; init; } = 263;

    public int Hidden { get; init; } = 64;

    public int Intermediate { get; init; } = 176;

    public int Layers { get; init; } = 2;

    public int Heads { get; init; } = 4;

    public int KvHeads { get; init; } = 4;

    public int HeadChannels { get; init; } = 16;

    public int MaxTokens { get; init; } = 256;

    public bool IsTied { get; init; }

    public bool HasBias { get; init; }

    public string Element { get; init; } = "F32";

    /// <summary>JSON of <c>rope_scaling</c>.</summary>
    public string Rope { get; init; } = "null";

    public double Theta { get; init; } = 10_000;

    public int Seed { get; init; } = 1;

    public override string ToString() => Name;
}

/// <summary>A model in a folder of its own, as Hugging Face lays it out. Weights are such that logits are of the size of one.</summary>
internal sealed class TestModel : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly Random _random;
    private readonly List<(string Name, string Element, long[] Shape, byte[] Bytes)> _tensors = [];

    public TestModel(TestShape shape)
    {
        Shape = shape;
        _random = new Random(shape.Seed);
        File.WriteAllText(Folders.Combine(Path, "config.json"), Config(shape).ToJsonString());
        AddTensors();
        File.WriteAllBytes(Folders.Combine(Path, "model.safetensors"), SafetensorsWriter.File([.. _tensors]));
    }

    public TestShape Shape { get; }

    public string Path => _directory.Path;

    /// <summary>All weights as singles, after rounding to their element.</summary>
    public Dictionary<string, float[]> Weights { get; } = [];

    public static JsonObject Config(TestShape shape) => new()
    {
        ["model_type"] = "llama",
        ["hidden_act"] = "silu",
        ["vocab_size"] = shape.Vocabulary,
        ["hidden_size"] = shape.Hidden,
        ["intermediate_size"] = shape.Intermediate,
        ["num_hidden_layers"] = shape.Layers,
        ["num_attention_heads"] = shape.Heads,
        ["num_key_value_heads"] = shape.KvHeads,
        ["head_dim"] = shape.HeadChannels,
        ["max_position_embeddings"] = shape.MaxTokens,
        ["rms_norm_eps"] = 1e-5,
        ["rope_theta"] = shape.Theta,
        ["rope_scaling"] = JsonNode.Parse(shape.Rope),
        ["tie_word_embeddings"] = shape.IsTied,
        ["attention_bias"] = shape.HasBias,
        ["mlp_bias"] = shape.HasBias,
        ["eos_token_id"] = 2,
    };

    public int[] Tokens(int count, int seed = 7)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Shape.Vocabulary))];
    }

    public void WriteTokens(int[] tokens) => File.WriteAllText(Folders.Combine(Path, "tokens.json"), JsonSerializer.Serialize(tokens));

    public void Dispose() => _directory.Dispose();

    private void AddTensors()
    {
        var query = Shape.Heads * Shape.HeadChannels;
        var keys = Shape.KvHeads * Shape.HeadChannels;
        Matrix("model.embed_tokens.weight", Shape.Vocabulary, Shape.Hidden, Shape.IsTied ? 1 / Math.Sqrt(Shape.Hidden) : 1);
        for (var layer = 0; layer < Shape.Layers; layer++)
        {
            var prefix = string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.");
            Norm(prefix + "input_layernorm.weight");
            Norm(prefix + "post_attention_layernorm.weight");
            Linear(prefix + "self_attn.q_proj", query, Shape.Hidden);
            Linear(prefix + "self_attn.k_proj", keys, Shape.Hidden);
            Linear(prefix + "self_attn.v_proj", keys, Shape.Hidden);
            Linear(prefix + "self_attn.o_proj", Shape.Hidden, query);
            Linear(prefix + "mlp.gate_proj", Shape.Intermediate, Shape.Hidden);
            Linear(prefix + "mlp.up_proj", Shape.Intermediate, Shape.Hidden);
            Linear(prefix + "mlp.down_proj", Shape.Hidden, Shape.Intermediate);
        }

        Norm("model.norm.weight");
        if (!Shape.IsTied)
        {
            Matrix("lm_head.weight", Shape.Vocabulary, Shape.Hidden, 1 / Math.Sqrt(Shape.Hidden));
        }
    }

    private void Linear(string name, int outputs, int inputs)
    {
        Matrix(name + ".weight", outputs, inputs, 1 / Math.Sqrt(inputs));
        if (Shape.HasBias)
        {
            Add(name + ".bias", [outputs], () => 0.2 * Normal());
        }
    }

    private void Norm(string name) => Add(name, [Shape.Hidden], () => 1 + (0.1 * Normal()));

    private void Matrix(string name, int outputs, int inputs, double deviation) => Add(name, [outputs, inputs], () => deviation * Normal());

    private void Add(string name, long[] shape, Func<double> next)
    {
        var values = new float[shape.Aggregate(1L, (product, dimension) => product * dimension)];
        for (var index = 0; index < values.Length; index++)
        {
            values[index] = (float)next();
        }

        byte[] bytes;
        switch (Shape.Element)
        {
            case "BF16":
                var words = Array.ConvertAll(values, value => (ushort)((BitConverter.SingleToUInt32Bits(value) + 0x8000) >> 16));
                bytes = MemoryMarshal.AsBytes(words.AsSpan()).ToArray();
                values = Array.ConvertAll(words, word => BitConverter.UInt32BitsToSingle((uint)word << 16));
                break;
            case "F16":
                var halves = Array.ConvertAll(values, value => (Half)value);
                bytes = MemoryMarshal.AsBytes(halves.AsSpan()).ToArray();
                values = Array.ConvertAll(halves, half => (float)half);
                break;
            default:
                bytes = MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
                break;
        }

        _tensors.Add((name, Shape.Element, shape, bytes));
        Weights.Add(name, values);
    }

    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
}
