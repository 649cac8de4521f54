using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// Where heads and rows are kept. A store decides nothing: it writes what <see cref="SequenceLogic"/> made, over the version it was
/// made from, and each method is one round trip. A store that does not answer in time says <see cref="StoreStatus.Unavailable"/>; a write
/// may have happened then.
/// </summary>
public interface ISequenceStore
{
    /// <summary>The stored head, or none.</summary>
    ValueTask<StoredHead> ReadAsync(SequenceId id, CancellationToken cancellationToken);

    /// <summary>Writes head and new rows at once, if the stored head still has the version and the stamp that were expected; else it gives the head that is there.</summary>
    ValueTask<StoredHead> WriteAsync(SequenceId id, SequenceWrite write, CancellationToken cancellationToken);

    /// <summary>Own rows from an index on; fewer at the end. Never all of a long sequence at once.</summary>
    ValueTask<StoredRows> ReadRowsAsync(SequenceId id, ulong rowsId, int first, int count, CancellationToken cancellationToken);

    /// <summary>The own row that holds a block, and its index, found without reading the others. No row: there is none.</summary>
    /// <param name="rows">Own rows to look at.</param>
    /// <param name="block">Position of the block.</param>
    ValueTask<StoredRows> FindRowAsync(SequenceId id, ulong rowsId, int rows, long block, CancellationToken cancellationToken);

    /// <summary>Names of a tenant's sequences behind a name, in order. Some may have ended meanwhile.</summary>
    ValueTask<StoredNames> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken);

    /// <summary>Tenants that have sequences.</summary>
    ValueTask<StoredNames> ListTenantsAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Tells what sequences take, takes a share of what the quota leaves for a time, and clears away what has ended. What a node
    /// holds is replaced by what it is given here.
    /// </summary>
    ValueTask<TenantShare> ReportAsync(TenantReport report, CancellationToken cancellationToken);
}

/// <summary>How a call to a store ended.</summary>
public enum StoreStatus
{
    Ok,

    /// <summary>The head was another one than expected.</summary>
    Conflict,

    /// <summary>No answer in time, or none that can be understood; the text says which.</summary>
    Unavailable,
}

/// <summary>A head in a store.</summary>
/// <param name="Head">What is stored, after a write what was written; null: nothing.</param>
public readonly record struct StoredHead(StoreStatus Status, SequenceHead? Head, string Text = "");

/// <summary>One step: a head and the rows it adds.</summary>
/// <param name="ExpectedVersion">Version that the head was made from; 0: none.</param>
/// <param name="ExpectedStamp">Its stamp.</param>
/// <param name="NewRows">To be written behind the own rows.</param>
/// <param name="FirstNewRow">Own rows before them.</param>
/// <param name="KeepUntil">Unix milliseconds until which head and rows are kept.</param>
/// <param name="Now">The same clock's time at the moment.</param>
public readonly record struct SequenceWrite(
    SequenceHead Head, long ExpectedVersion, int ExpectedStamp, ReadOnlyMemory<SegmentRow> NewRows, int FirstNewRow, long KeepUntil, long Now);

/// <summary>Rows in a store.</summary>
/// <param name="First">Index of the first of them among the own rows.</param>
public readonly record struct StoredRows(StoreStatus Status, int First, ReadOnlyMemory<SegmentRow> Rows, string Text = "");

/// <summary>Names in a store.</summary>
public readonly record struct StoredNames(StoreStatus Status, IReadOnlyList<string> Names, string Text = "");

/// <summary>What one sequence takes, as of a version: a later one replaces it, an earlier one changes nothing.</summary>
/// <param name="EndsAt">Unix milliseconds after which it is taken for gone.</param>
/// <param name="Origin">What a fork has to give back when it ends.</param>
public readonly record struct SequenceEntry(string Name, long Version, SequenceUsage Usage, long EndsAt, SequenceOrigin Origin)
{
    /// <summary>Whether it takes nothing and is forgotten.</summary>
    public bool IsGone => Usage.IsZero;
}

/// <summary>What a node tells of a tenant's sequences, and what it asks for.</summary>
/// <param name="Entries">Sequences that changed.</param>
/// <param name="Need">What commands at hand take.</param>
/// <param name="Want">What would be good to have besides.</param>
/// <param name="Limit">The tenant's quota.</param>
/// <param name="LeaseTime">How long the share stays this node's without another report.</param>
/// <param name="Now">Unix milliseconds, for sequences that have ended.</param>
public sealed record TenantReport(
    string Tenant, string Node, IReadOnlyList<SequenceEntry> Entries, SequenceUsage Need, SequenceUsage Want, SequenceUsage Limit,
    TimeSpan LeaseTime, long Now)
{
    /// <summary>Most entries of one report, so that no report holds up others for long.</summary>
    public const int MaxEntries = 256;

    /// <summary>Most ended sequences that one report clears away.</summary>
    public const int MaxEnded = 100;
}

/// <summary>What a node may spend.</summary>
/// <param name="Used">What all reported sequences take.</param>
/// <param name="Given">What this node holds from now on, until it reports again or the lease time is over.</param>
/// <param name="Ended">Sequences that had ended and were cleared away.</param>
/// <param name="StoreTime">The store's time when it answered, Unix milliseconds; 0: it did not say.</param>
public readonly record struct TenantShare(
    StoreStatus Status, SequenceUsage Used, SequenceUsage Given, IReadOnlyList<SequenceEntry> Ended, string Text = "", long StoreTime = 0);
