namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>The blocks of this node, as placement needs them. Any thread; a tenant that the node does not have has no blocks.</summary>
public interface INodeBlocks
{
    /// <summary>Names of the node's tenants.</summary>
    IReadOnlyList<string> Tenants { get; }

    /// <summary>RAM for blocks, and how much of it nothing uses.</summary>
    (long CapacityBytes, long FreeBytes) Room { get; }

    /// <summary>Payload bytes that other nodes were given, and the time for which they were sent, added up over all that were sent at a time, since the process started.</summary>
    (long Bytes, TimeSpan Time) Served { get; }

    /// <summary>Whether a block is here, and its payload bytes.</summary>
    bool TryFind(string tenant, ReadOnlySpan<byte> key, out long bytes);

    /// <summary>
    /// Has a block brought here behind what clients wait for. <paramref name="completed"/> runs once, on any thread, also before the call returns, with the
    /// payload bytes that came. False: it cannot be now, and nothing runs.
    /// </summary>
    /// <param name="parent">The block that it follows; empty: not known.</param>
    bool TryFetch(string tenant, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> parent, Action<BlockArrival, long> completed);

    /// <summary>Adds the keys of the chain that ends with a block, in order, at most the last ones; returns their payload bytes.</summary>
    long ListChain(string tenant, ReadOnlySpan<byte> tail, int most, List<ReadOnlyMemory<byte>> keys);

    /// <summary>From now on no copy of the blocks of a chain may lose anything, from its end back, at most so many. Those that are not here are passed over.</summary>
    void KeepLossless(string tenant, ReadOnlySpan<byte> tail, int most);

    /// <summary>Reads a block back, verifies it and keeps it for a time. Zero: keeps it no longer. Reads bytes, so it may take long.</summary>
    BlockHold Hold(string tenant, ReadOnlySpan<byte> key, TimeSpan duration);

    /// <summary>Visits the blocks that others may have too, a page at a time. A block that is here all the time is visited.</summary>
    /// <param name="cursor">0 at first.</param>
    /// <returns>The next cursor; 0 at the end.</returns>
    long Scan(string tenant, long cursor, List<LocalBlock> page);
}

/// <summary>How a block came.</summary>
public enum BlockArrival
{
    Came,
    WasHere,

    /// <summary>Nobody gave it, or there was no room.</summary>
    Failed,
}

/// <summary>What became of a wish to keep a block.</summary>
public enum BlockHold
{
    Held,
    Missing,

    /// <summary>As much is kept for pins as may be.</summary>
    Full,
}

/// <param name="IsFollowed">Whether blocks that follow it in a chain are here.</param>
public readonly record struct LocalBlock(ReadOnlyMemory<byte> Key, long Bytes, bool IsFollowed);
