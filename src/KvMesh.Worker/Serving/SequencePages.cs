using KvMesh.Protocol.Sequences;
using KvMesh.Worker.Devices.Pages;
using KvMesh.Worker.Model.Cache;

namespace KvMesh.Worker.Serving;

/// <summary>The pages of one sequence as a pass sees them: it waits for layers that are being fetched, and passes on layers of blocks that it filled.</summary>
internal sealed class SequencePages : IKvPages, IDisposable
{
    private readonly DevicePageRun _blocks;

    public SequencePages(KvPageFormat format, DevicePageRun blocks, TokenChain chain)
    {
        Format = format;
        _blocks = blocks;
        Chain = chain;
    }

    public KvPageFormat Format { get; }

    public TokenChain Chain { get; }

    public int CapacityTokens => _blocks.Count * Format.BlockTokens;

    /// <summary>Blocks that were kept from earlier sequences.</summary>
    public int Shared => _blocks.Shared;

    /// <summary>What the next pass waits for; null: nothing.</summary>
    public IPrefixFetch? Awaited { get; set; }

    /// <summary>Whether nobody wants what the pass computes any more, so that it need not wait.</summary>
    public Func<bool> IsUnwanted { get; set; } = static () => false;

    /// <summary>Who takes blocks that the next pass fills; null: nobody.</summary>
    public IChainSink? Sink { get; set; }

    /// <summary>Blocks from the first on that the mesh has, as far as is known: they are not published.</summary>
    public int MeshBlocks { get; set; }

    /// <summary>Blocks that the next pass fills.</summary>
    public (int First, int Count) Filled { get; set; }

    public Span<byte> Block(int index) => _blocks.Block(index);

    public void BeginLayer(int layer)
    {
        if (Awaited is { } fetch && !fetch.WaitForLayer(layer, IsUnwanted))
        {
            throw new PrefixLostException($"layer {layer} of a prefix does not come.");
        }
    }

    public void EndLayer(int layer)
    {
        var (first, end) = (Math.Max(Filled.First, MeshBlocks), Filled.First + Filled.Count);
        if (first < end)
        {
            Sink?.Publish(this, first, end - first, layer);
        }
    }

    /// <summary>Lets other sequences share blocks that are full, in order: one whose parent is not kept stays the sequence's own.</summary>
    public void Keep(int first, int count)
    {
        for (var block = first; block < first + count; block++)
        {
            _blocks.KeepBehind(block, Chain.Hash(block), block == 0 ? BlockHash.Root : Chain.Hash(block - 1));
        }
    }

    public void Dispose() => _blocks.Dispose();
}

/// <summary>A prefix that a pass waited for does not come. The pass has changed nothing but rows of its own tokens.</summary>
internal sealed class PrefixLostException(string message) : Exception(message);
