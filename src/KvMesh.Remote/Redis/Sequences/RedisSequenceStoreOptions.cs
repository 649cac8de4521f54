namespace KvMesh.Remote.Redis.Sequences;

/// <summary>How sequences are kept in Redis.</summary>
public sealed record RedisSequenceStoreOptions
{
    /// <summary>Begins every key: clusters that share a Redis have different ones.</summary>
    public string KeyPrefix { get; init; } = "kvmesh:";

    /// <summary>Longest wait for one answer. A command that gets none is refused; it may have happened.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Most calls under way; one more is refused at once, so that a Redis that hangs holds a bounded number.</summary>
    public int MaxUnderWay { get; init; } = 4096;

    /// <summary>How long nothing is asked after a run of failures.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromMilliseconds(500);
}
