namespace KvMesh.Cluster.Membership;

/// <summary>Times of membership. A dead node is noticed within <see cref="FailureTime"/> and two heartbeats.</summary>
public sealed record MembershipOptions
{
    /// <summary>Time between two heartbeats of a node; 500 ms: 1,000 nodes are 2,000 short scripts a second for the store.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Silence after which a node counts as gone, while the store answers and others are heard. At least four heartbeats.</summary>
    public TimeSpan FailureTime { get; init; } = TimeSpan.FromSeconds(3.5);

    /// <summary>Longest wait for one answer of the store, after which it counts as silent.</summary>
    public TimeSpan StoreTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long an answer that is late is still waited for and used, before the same is asked again: a slow store must not get more to do. A connection
    /// that broke fails at once; this is for one that hangs.
    /// </summary>
    public TimeSpan AnswerPatience { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// How long a node that the store calls silent must stay so before it is believed: long enough for every living node to have beaten
    /// again, so that a step of the store's clock takes nobody away.
    /// </summary>
    public TimeSpan Confirmation => HeartbeatInterval * 2.5;

    /// <summary>Age of a beat from which the store calls a node silent.</summary>
    public TimeSpan SilentAfter => FailureTime - Confirmation;
}
