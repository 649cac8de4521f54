using KvMesh.Worker.Model.Numerics;

namespace KvMesh.Worker.Model.Compute;

/// <summary>The memory of a <see cref="ForwardPass"/>, kept from pass to pass.</summary>
internal sealed class PassBuffers : IDisposable
{
    public PassBuffers(int workers)
    {
        Rows = [.. Enumerable.Range(0, workers).Select(_ => new ScratchBuffer())];
        Panels = [.. Enumerable.Range(0, workers).Select(_ => new ScratchBuffer())];
    }

    /// <summary>The residual stream.</summary>
    public ScratchBuffer Stream { get; } = new();

    /// <summary>The rows of the product at hand.</summary>
    public ScratchBuffer Packed { get; } = new();

    /// <summary>Queries, keys and values, or gate and up.</summary>
    public ScratchBuffer Wide { get; } = new();

    /// <summary>What is added to the stream.</summary>
    public ScratchBuffer Narrow { get; } = new();

    /// <summary>What attention gives.</summary>
    public ScratchBuffer Attended { get; } = new();

    public ScratchBuffer Logits { get; } = new();

    /// <summary>A row for each worker.</summary>
    public ScratchBuffer[] Rows { get; }

    /// <summary>A panel of weights for each worker.</summary>
    public ScratchBuffer[] Panels { get; }

    public void Dispose()
    {
        foreach (var buffer in (ScratchBuffer[])[Stream, Packed, Wide, Narrow, Attended, Logits, .. Rows, .. Panels])
        {
            buffer.Dispose();
        }
    }
}
