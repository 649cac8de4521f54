using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Scheduling;

/// <summary>
/// Says which node plans placement. At most one node believes that it does, apart from one that was stopped for a while and does not
/// know yet that it was followed: its orders carry an old token, and nodes ignore them (<see cref="OrderGate"/>).
/// </summary>
public interface ISchedulerLease : IAsyncDisposable
{
    /// <summary>How long a holder that says nothing keeps the lease.</summary>
    TimeSpan Duration { get; }

    /// <summary>
    /// Takes the lease if it is free, extends it if this node holds it. To be called again within a third of <see cref="Duration"/>.
    /// Never throws for a store that does not answer: that is <see cref="LeaseHolding.None"/>.
    /// </summary>
    ValueTask<LeaseHolding> HoldAsync(CancellationToken cancellationToken);

    /// <summary>Gives the lease up, so that another takes it at once.</summary>
    ValueTask ReleaseAsync(CancellationToken cancellationToken);
}

/// <summary>Who plans placement, as far as this node knows.</summary>
/// <param name="IsHeld">Whether this node does.</param>
/// <param name="Token">Fencing token of the holder. It only grows, also when the store lost its data. 0: unknown.</param>
/// <param name="Holder">The node that does; null: unknown.</param>
public readonly record struct LeaseHolding(bool IsHeld, long Token, NodeId? Holder)
{
    /// <summary>The store did not answer.</summary>
    public static readonly LeaseHolding None;
}
