using System.Collections.Immutable;

namespace KvMesh.Cluster.Membership;

/// <summary>A member's sign of life.</summary>
/// <param name="Owner">As it joined.</param>
/// <param name="Changed">Its record, when it changed since the last beat that was answered, or when the store may have lost it. The same one again is no change.</param>
/// <param name="SilentAfter">Members whose last beat is older than this, by the store's clock, are to be named, once.</param>
/// <param name="Seen">How far this member has read; default: everything is to be read.</param>
public sealed record BeatRequest(NodeId Id, long Incarnation, string Owner, NodeRecord? Changed, TimeSpan SilentAfter, StoreMark Seen)
{
    /// <summary>Members of which this one wants to know whether they beat again.</summary>
    public ImmutableArray<NodeId> Doubted { get; init; } = [];
}

/// <summary>A point in the history of a store.</summary>
/// <param name="Lineage">Names one life of the store's data: another one after it lost them.</param>
/// <param name="Version">Number of the last change.</param>
/// <param name="Time">By the store's clock: who was silent then was named up to there.</param>
public readonly record struct StoreMark(string? Lineage, long Version, TimeSpan Time);

/// <summary>Whether the caller is a member. Append only.</summary>
public enum BeatOutcome
{
    Member = 1,

    /// <summary>Another run has the id, with a higher incarnation: this one is no member any more.</summary>
    Fenced = 2,

    /// <summary>The store does not know the id: it lost its data, or this member was silent for very long. It reads nothing before it is back.</summary>
    Unknown = 3,
}

/// <summary>The store's answer to a beat.</summary>
/// <param name="Holder">Who has the id, when fenced.</param>
/// <param name="IsComplete">Whether <paramref name="Members"/> are all there are, and not only those that changed.</param>
/// <param name="Removed">Ids that the store has forgotten since.</param>
/// <param name="Silent">Members that have been silent for longer than asked, and had not been when the caller last read.</param>
/// <param name="SchedulerToken">Fencing token of the placement scheduler in office; 0: there was none yet.</param>
public sealed record BeatReply(
    BeatOutcome Outcome,
    IdHolder? Holder,
    StoreMark Mark,
    bool IsComplete,
    ImmutableArray<StoredMember> Members,
    ImmutableArray<NodeId> Removed,
    ImmutableArray<NodeId> Silent,
    long SchedulerToken)
{
    /// <summary>Those of the doubted members that beat again.</summary>
    public ImmutableArray<NodeId> Heard { get; init; } = [];

    /// <summary>
    /// Of the members that beat lately more than a third (and more than one) are late now: that is the store, or what lies before it, and no evidence against
    /// any of them. Told only with somebody silent or doubted.
    /// </summary>
    public bool IsBehind { get; init; }

    /// <summary>Where the log of removals stands: another text whenever something was written there. Empty: there is none.</summary>
    public string RemovalMark { get; init; } = "";
}

/// <summary>One member as the store has it.</summary>
/// <param name="HasLeft">It said goodbye.</param>
/// <param name="IsSilent">Its last beat is older than asked (<see cref="BeatRequest.SilentAfter"/>), by the store's clock.</param>
public sealed record StoredMember(NodeRecord Record, bool HasLeft, bool IsSilent);
