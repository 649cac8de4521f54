using KvMesh.Codecs.Numerics;
using KvMesh.Worker.Model.Files;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Compute;

/// <summary>
/// A model of the Llama family, loaded from a folder with <c>config.json</c> and <c>*.safetensors</c>. Weights are immutable; each
/// <see cref="ForwardPass"/> has buffers of its own, so that several may share one model.
/// </summary>
public sealed class LlamaModel : IDisposable
{
    private LlamaModel(ModelConfig config, ModelWeights weights, ComputeTeam team, SimdLevel level)
    {
        Config = config;
        Weights = weights;
        Team = team;
        Level = level;
    }

    public ModelConfig Config { get; }

    internal ModelWeights Weights { get; }

    internal ComputeTeam Team { get; }

    internal SimdLevel Level { get; }

    /// <param name="directory">The folder.</param>
    /// <param name="team">Threads that load and compute; the caller disposes them after the model.</param>
    /// <param name="level">Instructions to use; results are the same bit for bit at each.</param>
    /// <exception cref="ModelFileException">A file is missing, malformed, or asks for what is not computed here.</exception>
    public static LlamaModel Load(string directory, ComputeTeam team, SimdLevel? level = null)
    {
        var wanted = level ?? SimdLevels.Best;
        ArgumentOutOfRangeException.ThrowIfGreaterThan((int)wanted, (int)SimdLevels.Best, nameof(level));
        var config = ModelConfig.Read(Path.Combine(directory, "config.json"));
        using var files = TensorFiles.Open(directory);
        return new LlamaModel(config, WeightLoader.Load(config, files, team), team, wanted);
    }

    public void Dispose() => Weights.Dispose();
}
