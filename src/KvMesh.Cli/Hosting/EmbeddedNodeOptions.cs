using KvMesh.Engine.Retention;

namespace KvMesh.Cli.Hosting;

/// <summary>A node inside this process, for a workload of its own.</summary>
internal sealed record EmbeddedNodeOptions
{
    /// <summary>Folder of its state; null: a temporary one that goes with the node.</summary>
    public string? DataDirectory { get; init; }

    public long ArenaBytes { get; init; }

    /// <summary>0: as many as fit.</summary>
    public int MaxResidentBlocks { get; init; }

    /// <summary>In which order blocks leave RAM. Null: what the node's own options say.</summary>
    public RetentionKind? Retention { get; init; }

    /// <summary>Longest promise that a block stays. Null: what the node's own options say.</summary>
    public TimeSpan? MaxLease { get; init; }

    /// <summary>0: no disk tier.</summary>
    public long DiskBytes { get; init; }

    /// <summary>Port of the HTTP door; 0: any free one.</summary>
    public int HttpPort { get; init; }

    /// <summary>Whether the node serves the dashboard.</summary>
    public bool Console { get; init; }

    /// <summary>RAM that holds <paramref name="blocks"/> blocks with what the arena keeps beside each, and room to move.</summary>
    public static long ArenaBytesFor(long blocks, long blockBytes)
    {
        const long Granule = Protocol.Limits.GranuleBytes;
        var extent = (blockBytes + Protocol.Limits.MaxKeyBytes + (2 * Granule) - 1) / Granule * Granule;
        return (blocks * extent * 9 / 8) + (64L * 1024 * 1024);
    }
}
