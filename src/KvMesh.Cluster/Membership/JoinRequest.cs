namespace KvMesh.Cluster.Membership;

/// <summary>A run of a node that wants its id.</summary>
/// <param name="Record">
/// What it says of itself. Its incarnation is the lowest that it accepts; with <paramref name="IsReturn"/> the one that it has.
/// </param>
/// <param name="Owner">
/// Names the data directory, which has one process at any time: a holder with the same owner is an earlier run of the same node, and
/// dead. Empty: no holder is known to be one's own.
/// </param>
/// <param name="IsReturn">The run was a member already and the store lost it: it keeps its incarnation unless somebody else has the id.</param>
/// <param name="Silent">A holder that did not beat for a failure time, as the caller saw: it may be replaced if it still did not.</param>
public sealed record JoinRequest(NodeRecord Record, string Owner, bool IsReturn = false, HolderMark? Silent = null)
{
    /// <summary>Most characters of an owner: hex digits.</summary>
    public const int MaxOwnerLength = 64;

    /// <summary>Whether a holder with the same owner is known to be dead; else it is taken for a later run.</summary>
    public bool MayReplaceOwn { get; init; } = true;
}

/// <summary>A holder of an id and its last heartbeat. Two equal marks of different times: it did not beat in between.</summary>
/// <param name="Beat">Changes with every heartbeat.</param>
public readonly record struct HolderMark(long Incarnation, long Beat);

/// <summary>The store's answer to a join.</summary>
/// <param name="Incarnation">The number of this run; 0: refused.</param>
/// <param name="Holder">Who has the id, when refused.</param>
public sealed record JoinReply(long Incarnation, IdHolder? Holder)
{
    public bool IsJoined => Incarnation > 0;
}

/// <summary>Who has an id.</summary>
/// <param name="Since">When it joined, by the store's clock.</param>
public sealed record IdHolder(NodeRecord Record, HolderMark Mark, DateTimeOffset Since);
