using KvMesh.Codecs.Numerics;
using KvMesh.Worker.Model.Cache;
using KvMesh.Worker.Model.Compute;
using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Tests.Model;

/// <summary>A loaded model with its threads and a pass, and pages of singles unless said otherwise.</summary>
internal sealed class ModelRun : IDisposable
{
    private readonly ComputeTeam _team;
    private readonly KvPagePool _pool;

    public ModelRun(string path, int threads = 2, SimdLevel? level = null, Func<LlamaModel, KvPageFormat>? format = null, int capacityBlocks = 200)
    {
        _team = new ComputeTeam(threads);
        Model = LlamaModel.Load(path, _team, level);
        Pass = new ForwardPass(Model);
        _pool = new KvPagePool(format is null ? KvPageFormat.OfSingles(Model.Config, 16) : format(Model), capacityBlocks);
    }

    public LlamaModel Model { get; }

    public ForwardPass Pass { get; }

    public PooledKvPages Pages(int tokens)
    {
        var pages = _pool.NewSequence();
        Assert.True(pages.TryReserve(tokens));
        return pages;
    }

    /// <summary>The logits of all tokens, computed in pieces of given lengths.</summary>
    public float[][] Logits(int[] tokens, IEnumerable<int> pieces)
    {
        using var pages = Pages(tokens.Length);
        return Logits(tokens, pieces, pages);
    }

    public float[][] Logits(int[] tokens, IEnumerable<int> pieces, IKvPages pages)
    {
        var logits = new List<float[]>();
        var position = 0;
        foreach (var piece in pieces)
        {
            Pass.Run(new ModelInput(tokens.AsMemory(position, piece), position, pages, piece));
            logits.AddRange(Enumerable.Range(0, piece).Select(row => Pass.Logits(row).ToArray()));
            position += piece;
        }

        Assert.Equal(tokens.Length, position);
        return [.. logits];
    }

    public float[][] Logits(int[] tokens) => Logits(tokens, [tokens.Length]);

    public void Dispose()
    {
        Pass.Dispose();
        Model.Dispose();
        _pool.Dispose();
        _team.Dispose();
    }
}
