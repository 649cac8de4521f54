namespace KvMesh.Cluster.Membership;

/// <summary>What a process brings to its membership.</summary>
/// <param name="Record">What it says of itself.</param>
/// <param name="Owner">Names its data directory (<see cref="JoinRequest"/>).</param>
/// <param name="LastIncarnation">The last incarnation of this data directory that is known; 0: none.</param>
/// <param name="Identity">The identity that this data directory last knew; null: none.</param>
/// <param name="Joined">Called after each join with what the next run has to know.</param>
public sealed record MembershipSeat(
    NodeRecord Record, string Owner, long LastIncarnation = 0, ClusterIdentity? Identity = null, Action<long, ClusterIdentity>? Joined = null);

/// <summary>Where this node stands in its cluster. Immutable.</summary>
/// <param name="Reason">Why it is no member, for operators; empty for a member.</param>
/// <param name="Incarnation">Of this run; 0 unless it is a member.</param>
/// <param name="IsContested">It is refused, and the node that has its id was seen alive.</param>
public sealed record MemberStanding(MemberState State, string Reason, long Incarnation, bool IsContested = false);

/// <summary>Whether a node is a member.</summary>
public enum MemberState
{
    /// <summary>Not yet: the store has not answered.</summary>
    Joining,

    Member,

    /// <summary>Another node has its id.</summary>
    Refused,

    Left,
}
