using System.Collections.Immutable;

namespace KvMesh.Cluster.Membership;

/// <summary>A member's sign of life.</summary>
/// <param name="Owner">As it joined.</param>
/// <param name="Changed">Its record, when it changed since the last beat that was answered.</param>
/// <param name="SilentAfter">Members whose last beat is older than this, by the store's clock, are to be named.</param>
/// <param name="Seen">How far this member has read; default: everything is to be read.</param>
public sealed record BeatRequest(NodeId Id, long Incarnation, string Owner, NodeRecord? Changed, TimeSpan SilentAfter, StoreMark Seen);

/// <summary>A point in the history of a store.</summary>
/// <param name="Lineage">Names one life of the store's data: another one after it lost them.</param>
public readonly record struct StoreMark(string? Lineage, long Version);

/// <summary>Whether the caller is a member. Append only.</summary>
public enum BeatOutcome
{
    Member = 1,

    /// <summary>Another run has the id, with a higher incarnation: this one is no member any more.</summary>
    Fenced = 2,

    /// <summary>The store does not know the id: it lost its data, or this member was silent for very long.</summary>
    Unknown = 3,
}

/// <summary>The store's answer to a beat.</summary>
/// <param name="Holder">Who has the id, when fenced.</param>
/// <param name="IsComplete">Whether <paramref name="Members"/> are all there are, and not only those that changed.</param>
/// <param name="Removed">Ids that the store has forgotten since.</param>
/// <param name="Silent">Members that have been silent for longer than asked, but not for minutes.</param>
/// <param name="SchedulerToken">Fencing token of the placement scheduler in office; 0: there was none yet.</param>
public sealed record BeatReply(
    BeatOutcome Outcome,
    IdHolder? Holder,
    StoreMark Mark,
    bool IsComplete,
    ImmutableArray<StoredMember> Members,
    ImmutableArray<NodeId> Removed,
    ImmutableArray<NodeId> Silent,
    long SchedulerToken);

/// <summary>One member as the store has it.</summary>
/// <param name="HasLeft">It said goodbye.</param>
/// <param name="Age">Time since its last beat, by the store's clock.</param>
public sealed record StoredMember(NodeRecord Record, bool HasLeft, TimeSpan Age);
