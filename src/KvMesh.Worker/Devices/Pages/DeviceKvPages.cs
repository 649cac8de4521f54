using KvMesh.Worker.Model.Cache;

namespace KvMesh.Worker.Devices.Pages;

/// <summary>The pages of one sequence as the model on the processor sees them: shared blocks of its prefix, then its own. Disposing gives them back.</summary>
public sealed class DeviceKvPages : IKvPages, IDisposable
{
    private readonly DevicePageRun _run;

    /// <param name="format">What blocks are.</param>
    /// <param name="run">Pages of that size on a device that the processor addresses; owned from now on.</param>
    public DeviceKvPages(KvPageFormat format, DevicePageRun run)
    {
        ArgumentNullException.ThrowIfNull(format);
        ArgumentNullException.ThrowIfNull(run);
        if (!run.Buffer.Device.IsAddressable)
        {
            throw new ArgumentException($"The model computes on the processor, which does not read the memory of {run.Buffer.Device.Name}.", nameof(run));
        }

        if (run.PageBytes != format.BlockBytes)
        {
            throw new ArgumentException($"Pages have {run.PageBytes} bytes, blocks of this format {format.BlockBytes}.", nameof(run));
        }

        Format = format;
        _run = run;
    }

    public KvPageFormat Format { get; }

    public int CapacityTokens => _run.Count * Format.BlockTokens;

    /// <summary>Tokens of blocks that were kept from earlier sequences: they need not be computed.</summary>
    public int SharedTokens => _run.Shared * Format.BlockTokens;

    public Span<byte> Block(int index) => _run.Block(index);

    public void BeginLayer(int layer)
    {
    }

    public void EndLayer(int layer)
    {
    }

    public void Dispose() => _run.Dispose();
}
