using System.Collections.Immutable;
using KvMesh.Cluster.Membership;

namespace KvMesh.Cluster.Removals;

/// <summary>
/// The one log of what was removed in a cluster, which every node reads in order. Each entry has a number, and numbers only grow, also over
/// the loss of the store's data: they are the store's time in milliseconds, or one more than the last. Purges are kept as one number for each scope, the newest
/// wins; removed keys are kept up to a limit, and the log tells from which number on it has them all. A store that cannot answer throws
/// <see cref="StoreSilentException"/>; what was asked may have happened all the same, and may be asked again.
/// </summary>
public interface IRemovalLog : IAsyncDisposable
{
    /// <summary>Something was written. A hint: it may be missing, and it may come on any thread.</summary>
    event Action? Changed;

    /// <summary>Where the log is, for logs. No secrets.</summary>
    string Description { get; }

    /// <summary>Writes a purge and returns its number.</summary>
    /// <param name="origin">Names the run of the node that writes, which has done it already.</param>
    /// <param name="above">The highest number that the caller knows.</param>
    ValueTask<long> PurgeAsync(PurgeScope scope, string origin, long above, CancellationToken cancellationToken);

    /// <summary>Writes removed keys, at most <see cref="RemovalLimits.MaxKeysPerCall"/>, under consecutive numbers, and returns that of the first.</summary>
    ValueTask<long> RemoveAsync(IReadOnlyList<RemovedKey> keys, string origin, long above, CancellationToken cancellationToken);

    /// <summary>What was written after a point, and notes how far the caller has come.</summary>
    ValueTask<RemovalPage> ReadAsync(RemovalQuestion question, CancellationToken cancellationToken);

    /// <summary>
    /// Brings back what the store lost: purges that it does not have, and how far the caller had come in the life before, so that who was
    /// behind that learns it. Nothing happens when the store's data are of another life than <paramref name="lineage"/>.
    /// </summary>
    ValueTask RestoreAsync(string lineage, IReadOnlyList<NumberedPurge> purges, long reached, CancellationToken cancellationToken);

    /// <summary>How far each of these nodes has come; 0: it was never heard of.</summary>
    ValueTask<ImmutableArray<long>> ProgressAsync(IReadOnlyList<NodeId> nodes, CancellationToken cancellationToken);
}

/// <summary>A reader of the log and where it stands.</summary>
/// <param name="Mark">Number of the last entry that it has applied, under <paramref name="Lineage"/>.</param>
/// <param name="Lineage">Names the life of the store's data that it has read; empty: it never read, and wants no keys that were removed before.</param>
/// <param name="Edition">Of the purges that it has read.</param>
public readonly record struct RemovalQuestion(NodeId Reader, long Mark, string Lineage, string Edition);

/// <summary>What the log answers.</summary>
/// <param name="Lineage">Names the life of the store's data: another one after it lost them.</param>
/// <param name="Edition">Changes when purges of an earlier life were brought back, which stand among older numbers.</param>
/// <param name="Last">Number of the newest entry.</param>
/// <param name="Floor">Number of the newest key that is not kept any more: whoever has applied less has missed some.</param>
/// <param name="Lost">How far nodes had come when the store lost its data: whoever had come less far has missed some.</param>
/// <param name="PurgeFloor">Number of the newest purge that is not kept any more.</param>
/// <param name="Purges">After the mark, or all of them under another lineage or edition.</param>
/// <param name="Keys">After the mark, in order; at most <see cref="RemovalLimits.MaxKeysPerPage"/>.</param>
public sealed record RemovalPage(
    string Lineage, string Edition, long Last, long Floor, long Lost, long PurgeFloor, ImmutableArray<NumberedPurge> Purges, ImmutableArray<NumberedKey> Keys);

/// <summary>A purge in the log. Of an earlier one of the same scope nothing is left.</summary>
public readonly record struct NumberedPurge(PurgeScope Scope, long Number, string Origin);

/// <summary>A removed key in the log.</summary>
public readonly record struct NumberedKey(RemovedKey Key, long Number, string Origin);
