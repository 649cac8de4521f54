using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Keeps what a scheduler leaves to its follower: what operators did, whether orders are paused, and which orders are open. It lies where the scheduler's lease
/// lies and looks at the lease's token: what a deposed scheduler writes is refused. Any thread, one write of a scheduler at a time.
/// </summary>
/// <remarks>Every member throws <see cref="StoreSilentException"/> when the store does not answer in time; a write may then have happened or not.</remarks>
public interface IPlacementJournal : IAsyncDisposable
{
    /// <summary>What the schedulers before left. Null: <paramref name="token"/> is no longer the newest.</summary>
    ValueTask<JournalPage?> ReadAsync(long token, CancellationToken cancellationToken);

    /// <summary>Writes a change down. The same one again changes nothing but the audit, which has its lines twice. False: the token is no longer the newest.</summary>
    ValueTask<bool> WriteAsync(long token, JournalChange change, CancellationToken cancellationToken);
}

/// <summary>What a journal keeps.</summary>
public static class JournalLimits
{
    /// <summary>Lines of the audit; beyond it the oldest go.</summary>
    public const int MaxAudit = OrderBook.MaxEnded;

    /// <summary>Orders in one write.</summary>
    public const int MaxOrdersPerWrite = 512;
}

/// <summary>What the schedulers before left.</summary>
/// <param name="Audit">The oldest first.</param>
/// <param name="LastOrder">The highest number that an order had; 0: none is known.</param>
/// <param name="Orders">Those that were open when they were last heard of, and those that operators cancelled lately.</param>
public sealed record JournalPage(ImmutableArray<AuditLine> Audit, bool IsPaused, long LastOrder, ImmutableArray<OrderStatus> Orders)
{
    public static JournalPage Empty { get; } = new([], false, 0, []);
}

/// <summary>What changed since the last write.</summary>
/// <param name="Audit">New lines, the oldest first.</param>
/// <param name="IsPaused">Null: as before.</param>
/// <param name="LastOrder">The highest number that an order had.</param>
/// <param name="Orders">To be kept from now on, or kept anew; by their ids, at most <see cref="JournalLimits.MaxOrdersPerWrite"/>.</param>
/// <param name="Gone">Ids of orders that need not be kept any more; at most as many.</param>
public sealed record JournalChange(ImmutableArray<AuditLine> Audit, bool? IsPaused, long LastOrder, ImmutableArray<OrderStatus> Orders, ImmutableArray<long> Gone);
