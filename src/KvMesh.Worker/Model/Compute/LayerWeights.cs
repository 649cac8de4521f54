using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Compute;

/// <summary>The weights of one layer. Queries, keys and values are one product, and so are gate and up.</summary>
internal sealed record LayerWeights(
    NativeBuffer<float> AttentionNorm, PackedMatrix QueryKeyValue, PackedMatrix AttentionOutput,
    NativeBuffer<float> FeedForwardNorm, PackedMatrix GateUp, PackedMatrix Down) : IDisposable
{
    public void Dispose()
    {
        AttentionNorm.Dispose();
        QueryKeyValue.Dispose();
        AttentionOutput.Dispose();
        FeedForwardNorm.Dispose();
        GateUp.Dispose();
        Down.Dispose();
    }
}

/// <summary>All weights of a model. A tied head is the embedding itself.</summary>
internal sealed record ModelWeights(PackedMatrix Embedding, IReadOnlyList<LayerWeights> Layers, NativeBuffer<float> Norm, PackedMatrix Head) : IDisposable
{
    public void Dispose()
    {
        Embedding.Dispose();
        Norm.Dispose();
        Head.Dispose();
        foreach (var layer in Layers)
        {
            layer.Dispose();
        }
    }
}
