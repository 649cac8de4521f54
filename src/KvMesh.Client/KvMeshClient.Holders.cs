using KvMesh.Client.Holders;

namespace KvMesh.Client;

/// <summary>Blocks in the memory of this process.</summary>
public sealed partial class KvMeshClient
{
    /// <summary>
    /// Makes this process one that hands over blocks of its own memory, as that of a GPU, when the node misses them. Dispose it before the client. Nothing is sent before
    /// the first announcement.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public BlockHolder HoldBlocks(BlockHolderOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new BlockHolder(_pool, _options, options);
    }
}
