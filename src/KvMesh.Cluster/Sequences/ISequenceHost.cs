using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// Sequences as the doors of a node see them. Whoever hosts them applies <see cref="SequenceLogic"/>; refusals are values. Commands for
/// one sequence take effect in the order of the calls.
/// </summary>
public interface ISequenceHost
{
    /// <summary>Runs a command, <see cref="ForkSequence"/> included: its reply is the fork.</summary>
    ValueTask<SequenceReply> ExecuteAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken);

    /// <summary>The sequence as it is, without touching it.</summary>
    ValueTask<SequenceReply> FindAsync(SequenceId id, CancellationToken cancellationToken);

    /// <summary>A page of rows, those shared with origins included. Pages are cut at <see cref="SequenceLimits.MaxPageRows"/> and where an origin ends.</summary>
    ValueTask<SequenceRows> ReadRowsAsync(SequenceId id, int first, int count, CancellationToken cancellationToken);

    /// <summary>A tenant's sequences behind a name, in order of names.</summary>
    ValueTask<SequencePage> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken);

    /// <summary>What a tenant's sequences take, as the store knows it.</summary>
    ValueTask<TenantShare> ReadUsageAsync(string tenant, CancellationToken cancellationToken);

    /// <summary>News of this node, from now on.</summary>
    SequenceEventFeed Events { get; }
}

/// <summary>What became of a command.</summary>
/// <param name="Info">The sequence; null where there is none, or where it is not known.</param>
/// <param name="IsRepetition">The command had been done before.</param>
public readonly record struct SequenceReply(SequenceRefusal Refusal, SequenceInfo? Info, string Text, bool IsRepetition)
{
    public bool IsOk => Refusal == SequenceRefusal.None;

    public static SequenceReply Refuse(SequenceRefusal refusal, string text) => new(refusal, null, text, false);
}

/// <summary>A page of rows.</summary>
/// <param name="Total">Rows of the sequence.</param>
/// <param name="First">Index of the first row of the page.</param>
public readonly record struct SequenceRows(SequenceRefusal Refusal, int Total, int First, ReadOnlyMemory<SegmentRow> Rows, string Text);

/// <summary>A page of sequences.</summary>
/// <param name="Next">What to list behind next; empty: that was all.</param>
public readonly record struct SequencePage(SequenceRefusal Refusal, IReadOnlyList<SequenceInfo> Sequences, string Next, string Text);

/// <summary>What a tenant's sequences take.</summary>
/// <param name="Limit">The tenant's quota.</param>
public readonly record struct TenantUsage(string Tenant, SequenceUsage Used, SequenceUsage Limit);
