using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace KvMesh.LoadTest.Verbs;

/// <summary>Writes a model of the Llama family with random weights of singles: speed does not depend on what they are.</summary>
internal static class RandomModel
{
    public const int Vocabulary = 32_000;
    public const int MaxTokens = 2048;

    private const int Hidden = 768;
    private const int Intermediate = 2304;
    private const int Layers = 12;
    private const int Heads = 12;
    private const int KvHeads = 4;
    private const int HeadChannels = 64;

    /// <returns>Parameters.</returns>
    public static long Write(string directory)
    {
        File.WriteAllText(Path.Combine(directory, "config.json"),
            $$"""
            {"model_type":"llama","hidden_act":"silu","vocab_size":{{Vocabulary}},"hidden_size":{{Hidden}},"intermediate_size":{{Intermediate}},"num_hidden_layers":{{Layers}},
             "num_attention_heads":{{Heads}},"num_key_value_heads":{{KvHeads}},"head_dim":{{HeadChannels}},"max_position_embeddings":{{MaxTokens}},"rms_norm_eps":1e-5,"rope_theta":10000.0}
            """);
        var tensors = Tensors().ToArray();
        using var file = File.Create(Path.Combine(directory, "model.safetensors"));
        WriteHeader(file, tensors);
        var random = new Random(1);
        foreach (var (_, rows, columns) in tensors)
        {
            WriteRows(file, random, rows, columns);
        }

        return tensors.Sum(tensor => (long)tensor.Rows * tensor.Columns);
    }

    private static IEnumerable<(string Name, int Rows, int Columns)> Tensors()
    {
        yield return ("model.embed_tokens.weight", Vocabulary, Hidden);
        yield return ("lm_head.weight", Vocabulary, Hidden);
        yield return ("model.norm.weight", 1, Hidden);
        for (var layer = 0; layer < Layers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            yield return (prefix + "input_layernorm.weight", 1, Hidden);
            yield return (prefix + "post_attention_layernorm.weight", 1, Hidden);
            yield return (prefix + "self_attn.q_proj.weight", Heads * HeadChannels, Hidden);
            yield return (prefix + "self_attn.k_proj.weight", KvHeads * HeadChannels, Hidden);
            yield return (prefix + "self_attn.v_proj.weight", KvHeads * HeadChannels, Hidden);
            yield return (prefix + "self_attn.o_proj.weight", Hidden, Heads * HeadChannels);
            yield return (prefix + "mlp.gate_proj.weight", Intermediate, Hidden);
            yield return (prefix + "mlp.up_proj.weight", Intermediate, Hidden);
            yield return (prefix + "mlp.down_proj.weight", Hidden, Intermediate);
        }
    }

    private static void WriteHeader(Stream file, IEnumerable<(string Name, int Rows, int Columns)> tensors)
    {
        var header = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
        var offset = 0L;
        foreach (var (name, rows, columns) in tensors)
        {
            var end = offset + ((long)rows * columns * sizeof(float));
            var shape = rows == 1 ? $"[{columns}]" : $"[{rows},{columns}]";
            header.Append(CultureInfo.InvariantCulture, $",\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{offset},{end}]}}");
            offset = end;
        }

        var text = Encoding.UTF8.GetBytes(header.Append('}').ToString());
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)text.Length);
        file.Write(length);
        file.Write(text);
    }

    private static void WriteRows(Stream file, Random random, int rows, int columns)
    {
        var row = new float[columns];
        for (var index = 0; index < rows; index++)
        {
            for (var column = 0; column < columns; column++)
            {
                row[column] = rows == 1 ? 1 : (random.NextSingle() - 0.5f) * 0.1f;
            }

            file.Write(MemoryMarshal.AsBytes(row.AsSpan()));
        }
    }
}
