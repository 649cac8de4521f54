namespace KvMesh.Cluster.Placement;

/// <summary>What a plan may spend, and when a move is worth it.</summary>
public sealed record PlacementOptions
{
    /// <summary>Time between two plans, and the time a plan's orders should take. Default 5 s.</summary>
    public TimeSpan Step { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Bytes that all orders of one plan may move. Default 4 GiB; 0 plans nothing.</summary>
    public long BytesPerStep { get; init; } = 4L << 30;

    /// <summary>
    /// Share of a node's bandwidth that orders may fill, so that foreground reads keep the rest. Also what fills a new, empty node
    /// gradually. Default 0.25.
    /// </summary>
    public double BandwidthShare { get; init; } = 0.25;

    /// <summary>Share of a node's RAM that one plan may put on it, when that would make other blocks leave. Default 0.02.</summary>
    public double TurnoverShare { get; init; } = 0.02;

    /// <summary>How long demand is taken to last: the time over which a copy has to pay. Default 60 s.</summary>
    public TimeSpan Horizon { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Bytes of keys and values that an engine computes per second: what a lost block costs. Default 1 GiB/s.</summary>
    public double RecomputeBytesPerSecond { get; init; } = 1L << 30;

    /// <summary>A copy is made when it saves this many times what it costs. Default 2.</summary>
    public double MinGain { get; init; } = 2;

    /// <summary>Copies of one prefix that demand alone may make. Default 8.</summary>
    public int MaxReplicas { get; init; } = 8;

    /// <summary>A holder busier than this shares its hottest prefixes with others, 0 to 1. Default 0.7.</summary>
    public double BusyUtilisation { get; init; } = 0.7;

    /// <summary>A pull that would take longer than this from one node is spread over several. Default 2 s.</summary>
    public TimeSpan SlowPull { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Nodes over which one long sequence is spread at most. Default 4.</summary>
    public int MaxSpread { get; init; } = 4;

    /// <summary>How long before a session returns its blocks are moved, beyond the time the move takes. Default 5 s.</summary>
    public TimeSpan PrefetchMargin { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Seeds the choice among equals.</summary>
    public int Seed { get; init; }
}
