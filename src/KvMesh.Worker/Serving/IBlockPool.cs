using KvMesh.Protocol.Sequences;
using KvMesh.Worker.Model.Cache;

namespace KvMesh.Worker.Serving;

/// <summary>Memory for the blocks of all sequences of a worker, which keeps full blocks as long as there is room, for sequences with the same prefix.</summary>
internal interface IBlockPool : IDisposable
{
    KvPageFormat Format { get; }

    int CapacityBlocks { get; }

    /// <summary>
    /// Blocks for a sequence: those of its prefix that are kept, and new ones behind them. Null, and nothing taken, while there are not enough.
    /// </summary>
    /// <param name="prefix">Chain hashes of the first blocks, as many as may be shared.</param>
    /// <param name="blocks">Blocks in all.</param>
    IBlockRun? TryTake(ReadOnlySpan<BlockHash> prefix, int blocks);
}

/// <summary>The blocks of one sequence. Disposing gives them back.</summary>
internal interface IBlockRun : IDisposable
{
    /// <summary>Blocks from the first on that were kept: full, and not to be written.</summary>
    int Shared { get; }

    int Count { get; }

    Span<byte> Block(int index);

    /// <summary>A block is full and will not change any more: others may share it.</summary>
    void Keep(int index, in BlockHash hash);
}
