using KvMesh.Protocol.Sequences;
using KvMesh.Worker.Devices.Pages;
using KvMesh.Worker.Model.Cache;

namespace KvMesh.Worker.Serving;

/// <summary>The blocks of all sequences of a worker: pages of a device that the processor reads. Disposing frees them; sequences must be gone.</summary>
internal sealed class BlockPool : IDisposable
{
    private readonly DevicePagePool _pages;

    /// <param name="format">What blocks are.</param>
    /// <param name="pages">Pages of that size; owned from now on.</param>
    public BlockPool(KvPageFormat format, DevicePagePool pages)
    {
        if (!pages.Device.IsAddressable)
        {
            throw new ArgumentException($"The model computes on the processor, which does not read the memory of {pages.Device.Name}.", nameof(pages));
        }

        if (pages.PageBytes != format.BlockBytes)
        {
            throw new ArgumentException($"Pages have {pages.PageBytes} bytes, blocks of this format {format.BlockBytes}.", nameof(pages));
        }

        (Format, _pages) = (format, pages);
    }

    public KvPageFormat Format { get; }

    public int CapacityBlocks => _pages.CapacityPages;

    /// <summary>
    /// Blocks for a sequence: those of its prefix that are kept, and new ones behind them. Null, and nothing taken, while there are not enough.
    /// </summary>
    /// <param name="prefix">Chain hashes of the first blocks, as many as may be shared.</param>
    /// <param name="blocks">Blocks in all.</param>
    public DevicePageRun? TryTake(ReadOnlySpan<BlockHash> prefix, int blocks) => _pages.TryTake(prefix, blocks);

    public void Dispose() => _pages.Dispose();
}
