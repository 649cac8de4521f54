namespace KvMesh.Remote.Peers.Feed;

/// <summary>How a directory follows the nodes.</summary>
public sealed record MapFeedOptions
{
    /// <summary>Shortest time between two questions to one node for its changes. More than one answer's worth is asked for at once. Default 20 ms.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Most questions a second to all nodes together, as long as they have little to tell; in a large cluster the interval follows. Default 500.</summary>
    public int QuestionsPerSecond { get; init; } = 500;

    /// <summary>Bytes a second of lists of blocks that this directory reads, all nodes together; 24 a block. Default 32 MiB.</summary>
    public long SnapshotBytesPerSecond { get; init; } = 32L << 20;

    /// <summary>Lists that are read at a time. Default 2.</summary>
    public int MaxSnapshots { get; init; } = 2;

    /// <summary>Longest wait for a connection or an answer. Default 5 s.</summary>
    public TimeSpan AnswerLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest pause before a lost node is tried again; the first is a hundredth of it. Default 5 s.</summary>
    public TimeSpan RetryLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After so long a node whose list did not fit into a full map is listed again, if there is room. Default 1 min.</summary>
    public TimeSpan RefillInterval { get; init; } = TimeSpan.FromMinutes(1);
}
