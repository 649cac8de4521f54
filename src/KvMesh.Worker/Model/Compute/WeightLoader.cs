using System.Runtime.InteropServices;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;
using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Compute;

/// <summary>
/// Reads the weights of a model out of its files and packs them. bfloat16 stays as it is; half becomes singles, which hold it exactly. Tensors that the
/// model does not use are left alone.
/// </summary>
internal sealed class WeightLoader
{
    private readonly ModelConfig _config;
    private readonly TensorFiles _files;
    private readonly ComputeTeam _team;

    private WeightLoader(ModelConfig config, TensorFiles files, ComputeTeam team) => (_config, _files, _team) = (config, files, team);

    /// <exception cref="ModelFileException">A tensor is missing, or has not the shape that the config gives it.</exception>
    public static ModelWeights Load(ModelConfig config, TensorFiles files, ComputeTeam team) => new WeightLoader(config, files, team).Load();

    private ModelWeights Load()
    {
        const string EmbeddingName = "model.embed_tokens.weight";
        const string HeadName = "lm_head.weight";
        CheckAll();
        var embedding = Matrix(_config.Hidden, (EmbeddingName, _config.Vocabulary));
        return new ModelWeights(
            embedding,
            [.. Enumerable.Range(0, _config.Layers).Select(Layer)],
            Vector("model.norm.weight"),
            _config.IsTied ? embedding : Matrix(_config.Hidden, (HeadName, _config.Vocabulary)));

        // Asks for everything before memory is taken for anything.
        void CheckAll()
        {
            Check(EmbeddingName, _config.Vocabulary, _config.Hidden);
            Check("model.norm.weight", _config.Hidden);
            if (!_config.IsTied)
            {
                Check(HeadName, _config.Vocabulary, _config.Hidden);
            }

            for (var layer = 0; layer < _config.Layers; layer++)
            {
                CheckLayer($"model.layers.{layer}.");
            }
        }
    }

    private int QueryOutputs => _config.Heads * _config.HeadChannels;

    private int KvOutputs => _config.KvHeads * _config.HeadChannels;

    private void CheckLayer(string prefix)
    {
        Check(prefix + "input_layernorm.weight", _config.Hidden);
        Check(prefix + "post_attention_layernorm.weight", _config.Hidden);
        Check(prefix + "self_attn.q_proj.weight", QueryOutputs, _config.Hidden);
        Check(prefix + "self_attn.k_proj.weight", KvOutputs, _config.Hidden);
        Check(prefix + "self_attn.v_proj.weight", KvOutputs, _config.Hidden);
        Check(prefix + "self_attn.o_proj.weight", _config.Hidden, QueryOutputs);
        Check(prefix + "mlp.gate_proj.weight", _config.Intermediate, _config.Hidden);
        Check(prefix + "mlp.up_proj.weight", _config.Intermediate, _config.Hidden);
        Check(prefix + "mlp.down_proj.weight", _config.Hidden, _config.Intermediate);
    }

    private void Check(string name, params ReadOnlySpan<long> shape) => _files.Require(name, shape);

    private LayerWeights Layer(int layer)
    {
        var prefix = $"model.layers.{layer}.";
        var attention = prefix + "self_attn.";
        var feedForward = prefix + "mlp.";
        return new LayerWeights(
            Vector(prefix + "input_layernorm.weight"),
            Linear(_config.Hidden, _config.HasAttentionBias, (attention + "q_proj", QueryOutputs), (attention + "k_proj", KvOutputs), (attention + "v_proj", KvOutputs)),
            Linear(QueryOutputs, _config.HasAttentionBias, (attention + "o_proj", _config.Hidden)),
            Vector(prefix + "post_attention_layernorm.weight"),
            Linear(_config.Hidden, _config.HasFeedForwardBias, (feedForward + "gate_proj", _config.Intermediate), (feedForward + "up_proj", _config.Intermediate)),
            Linear(_config.Intermediate, _config.HasFeedForwardBias, (feedForward + "down_proj", _config.Hidden)));
    }

    private PackedMatrix Linear(int depth, bool hasBias, params (string Name, int Outputs)[] parts)
    {
        var matrix = Matrix(depth, [.. parts.Select(part => (part.Name + ".weight", part.Outputs))]);
        var first = 0;
        foreach (var (name, outputs) in hasBias ? parts : [])
        {
            var bias = new float[outputs];
            var (file, tensor) = _files.Require(name + ".bias", outputs);
            ToSingles(tensor, file.Bytes(tensor, 0, (int)tensor.Bytes), bias);
            matrix.SetBias(bias, first);
            first += outputs;
        }

        return matrix;
    }

    /// <summary>One matrix of the rows of several, one after the other.</summary>
    private PackedMatrix Matrix(int depth, params (string Name, int Outputs)[] parts)
    {
        var tensors = parts.Select(part => _files.Require(part.Name, part.Outputs, depth)).ToArray();
        var isBFloat = tensors.All(found => found.Tensor.Element == TensorElement.BF16);
        var matrix = new PackedMatrix(parts.Sum(part => part.Outputs), depth, isBFloat);
        var first = 0;
        foreach (var (file, tensor) in tensors)
        {
            var firstOutput = first;
            var outputs = (int)tensor.Shape[0];
            _team.Run((outputs + TileKernel.Width - 1) / TileKernel.Width, (part, _) => PackRows(matrix, file, tensor, firstOutput, part * TileKernel.Width));
            first += outputs;
        }

        return matrix;
    }

    private static void PackRows(PackedMatrix matrix, SafetensorsFile file, TensorEntry tensor, int firstOutput, int firstRow)
    {
        var rowBytes = matrix.Depth * tensor.Element.Bytes();
        var singles = matrix.IsBFloat || tensor.Element == TensorElement.F32 ? [] : new float[matrix.Depth];
        for (var row = firstRow; row < Math.Min(firstRow + TileKernel.Width, tensor.Shape[0]); row++)
        {
            var bytes = file.Bytes(tensor, (long)row * rowBytes, rowBytes);
            if (singles.Length > 0)
            {
                ToSingles(tensor, bytes, singles);
                bytes = MemoryMarshal.AsBytes(singles.AsSpan());
            }

            matrix.SetRow(firstOutput + row, bytes);
        }
    }

    private NativeBuffer<float> Vector(string name)
    {
        var (file, tensor) = _files.Require(name, _config.Hidden);
        var vector = new NativeBuffer<float>(_config.Hidden);
        ToSingles(tensor, file.Bytes(tensor, 0, (int)tensor.Bytes), vector.Span);
        return vector;
    }

    private static void ToSingles(TensorEntry tensor, ReadOnlySpan<byte> bytes, Span<float> singles)
    {
        if (tensor.Element == TensorElement.F32)
        {
            bytes.CopyTo(MemoryMarshal.AsBytes(singles));
            return;
        }

        var element = tensor.Element == TensorElement.BF16 ? KvElement.BFloat16 : KvElement.Float16;
        ElementConversion.ToSingle(element, bytes, singles, SimdLevels.Best);
    }
}
