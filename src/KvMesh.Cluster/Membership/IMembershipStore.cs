namespace KvMesh.Cluster.Membership;

/// <summary>
/// Where the nodes of one cluster meet. The store orders what they say and judges the age of heartbeats by its own clock; it takes no
/// decisions. Each method is one step: it happened or it did not. A store that cannot answer throws <see cref="StoreSilentException"/>;
/// what was asked may happen later all the same, and may be asked again.
/// </summary>
public interface IMembershipStore : IAsyncDisposable
{
    /// <summary>Somebody joined, left, came back or changed. A hint: it may be missing, and it may come on any thread.</summary>
    event Action? Changed;

    /// <summary>Where the store is, for logs. No secrets.</summary>
    string Description { get; }

    /// <summary>
    /// The identity of the cluster. A store that has none takes the caller's, or makes one; one that has a younger one takes the older
    /// (<see cref="ClusterIdentity.Precedes"/>), so that a cluster stays itself when its store lost everything.
    /// </summary>
    ValueTask<ClusterIdentity> AgreeAsync(ClusterIdentity? known, CancellationToken cancellationToken);

    /// <summary>Takes an id for a run of a node, or tells who holds it.</summary>
    ValueTask<JoinReply> JoinAsync(JoinRequest request, CancellationToken cancellationToken);

    /// <summary>Says that a member lives, brings a change of its record, and fetches what others did since the last time.</summary>
    ValueTask<BeatReply> BeatAsync(BeatRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Says that a member lives, and nothing else: it reads nothing and waits for no answer that is long, so that what a member reads slowly never costs it
    /// its life. Whoever is not <see cref="BeatOutcome.Member"/> is left as it is.
    /// </summary>
    ValueTask<BeatOutcome> RenewAsync(NodeId id, long incarnation, string owner, CancellationToken cancellationToken);

    /// <summary>Gives the id up. Nothing happens when another run holds it.</summary>
    ValueTask LeaveAsync(NodeId id, long incarnation, CancellationToken cancellationToken);
}

/// <summary>The store does not answer, or answers that it cannot serve.</summary>
public sealed class StoreSilentException : Exception
{
    public StoreSilentException()
    {
    }

    public StoreSilentException(string message)
        : base(message)
    {
    }

    public StoreSilentException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
