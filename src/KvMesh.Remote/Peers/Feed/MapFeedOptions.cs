using System.ComponentModel.DataAnnotations;

namespace KvMesh.Remote.Peers.Feed;

/// <summary>How a directory follows the nodes.</summary>
public sealed class MapFeedOptions
{
    /// <summary>Shortest time between two questions to one node for its changes. More than one answer's worth is asked for at once. Default 20 ms.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Most questions a second to all nodes together, as long as they have little to tell; in a large cluster the interval follows. Default 500.</summary>
    [Range(1, 100_000)]
    public int QuestionsPerSecond { get; set; } = 500;

    /// <summary>Bytes a second of lists of blocks that this directory reads, all nodes together; 24 a block. Default 32 MiB.</summary>
    [Range(1L << 16, 1L << 40)]
    public long SnapshotBytesPerSecond { get; set; } = 32L << 20;

    /// <summary>Lists that are read at a time. Default 2.</summary>
    [Range(1, 64)]
    public int MaxSnapshots { get; set; } = 2;

    /// <summary>Longest wait for a connection or an answer. Default 5 s.</summary>
    public TimeSpan AnswerLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest pause before a lost node is tried again; the first is a hundredth of it. Default 5 s.</summary>
    public TimeSpan RetryLimit { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>After so long a node whose list did not fit into a full map is listed again, if there is room. Default 1 min.</summary>
    public TimeSpan RefillInterval { get; set; } = TimeSpan.FromMinutes(1);
}
