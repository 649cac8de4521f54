using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.Engine.FarTiers;
using KvMesh.Engine.Leases;

namespace KvMesh.Engine;

/// <summary>
/// Reading beyond this node. What is asked "anywhere" is looked for here first and then in the attached tiers; the members without
/// that word never leave the node.
/// </summary>
public sealed partial class BlockEngine
{
    private readonly Lock _farLock = new();
    private volatile FarLookup? _far;

    /// <summary>Whether there are tiers beyond this node.</summary>
    public bool HasFarTiers => _far is not null;

    /// <summary>Orders to bring blocks here that wait or run.</summary>
    public int QueuedFetches => _host.FetchOrders?.Queued ?? 0;

    /// <summary>
    /// Adds a tier behind this node's own and those attached before. The caller disposes what it made after the engine, or makes it answer
    /// nothing before.
    /// </summary>
    public void AttachTier(IBlockTier tier)
    {
        ArgumentNullException.ThrowIfNull(tier);
        lock (_farLock)
        {
            var far = _far ?? _host.StartFar(_writer);
            far.Attach(tier);
            _far = far;
        }
    }

    /// <summary>
    /// As <see cref="TryRead"/> for a use, and on a miss asks the attached tiers, which blocks for as long as the block's deadline. For keys
    /// that name content.
    /// </summary>
    /// <param name="losslessOnly">Whether a copy that has lost something is none: then an exact one is looked for further away.</param>
    public bool TryReadAnywhere(Tenant tenant, ReadOnlySpan<byte> key, out BlockRead read, bool losslessOnly = false) =>
        TryRead(tenant, key, ReadIntent.Use, out read, losslessOnly) || (_far is { } far && TryReadFar(far, tenant, key, losslessOnly, out read));

    /// <summary>
    /// Opens a block for another node that keeps a copy: content only, from this node and its workers and never from other tiers, counted as a use of the block but
    /// not as a request of the tenant. Asking a worker blocks for half of the shortest deadline at most.
    /// </summary>
    public bool TryReadForPeer(Tenant tenant, ReadOnlySpan<byte> key, out BlockRead read, bool losslessOnly = false)
    {
        if (!TryRead(tenant, key, ReadIntent.Inspect, out read, losslessOnly))
        {
            FetchHeldForPeer(tenant, key);
            if (!TryRead(tenant, key, ReadIntent.Inspect, out read, losslessOnly))
            {
                return false;
            }
        }

        if (!read.IsContent)
        {
            read.Dispose();
            read = default;
            return false;
        }

        NoteRead(read.Block, isFirst: read.Block.Hits == 0);
        Interlocked.Increment(ref _counters.PeerReads);
        return true;
    }

    /// <summary>Payload bytes that other nodes were given, and the time for which they were sent, added up over all that were sent at a time.</summary>
    public (long Bytes, TimeSpan Time) PeersServed =>
        (Interlocked.Read(ref _counters.PeerReadBytes), TimeSpan.FromTicks(Interlocked.Read(ref _counters.PeerReadTicks)));

    /// <summary>Another node is about to be sent so much of a block that was read for it.</summary>
    public void NotePeerRead(int bytes) => Interlocked.Add(ref _counters.PeerReadBytes, bytes);

    /// <summary>It was, and that took so long.</summary>
    public void NotePeerSent(TimeSpan time) => Interlocked.Add(ref _counters.PeerReadTicks, time.Ticks);

    /// <summary>As <see cref="Exists"/>, or whether an attached tier says to have the block: a promise without a lease. May ask the network.</summary>
    public bool ExistsAnywhere(Tenant tenant, ReadOnlySpan<byte> key, ConnectionLeases leases, TimeSpan lease, bool losslessOnly = false) =>
        Exists(tenant, key, leases, lease, losslessOnly) || (_far is { } far && far.Has(tenant, key));

    /// <summary>As <see cref="MatchPrefix"/>, made longer by what the attached tiers believe to hold behind the part that is here.</summary>
    public PrefixMatch MatchPrefixAnywhere(Tenant tenant, KeyRun keys, ConnectionLeases leases, TimeSpan lease, bool losslessOnly = false)
    {
        var match = MatchPrefix(tenant, keys, leases, lease, losslessOnly);
        return _far is { } far && match.Blocks < keys.Count ? far.Extend(tenant, keys, match) : match;
    }

    /// <summary>
    /// Orders a block to be brought here in the background, behind clients' reads. <paramref name="completed"/> runs on a thread of the
    /// engine and must be short; it gets the payload bytes that came, 0 unless it was fetched. False: too many orders wait, or there is no tier to bring it from.
    /// </summary>
    /// <param name="parent">The block that it follows in its chain, where the caller knows; empty: who gives it may say.</param>
    public bool TryOrderFetch(
        Tenant tenant, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> parent = default, Action<FetchOrderResult, long>? completed = null) =>
        _host.FetchOrders is { } orders && orders.TryAdd(tenant, key, parent, completed);

    /// <summary>Ends every read from other tiers soon, and begins none any more: before the doors close, so that nobody waits for a block.</summary>
    public void StopFetching() => _far?.Stop();

    /// <summary>
    /// Lets this node's copy of a block go, because another node removed the block: content only, and what is on its way here does not arrive.
    /// False when there was no copy.
    /// </summary>
    public bool DropCopy(Tenant tenant, ReadOnlySpan<byte> key)
    {
        _held?.Forget(tenant, key);
        _far?.ForgetRunning(tenant, key);
        var wasHere = _registry.Find(tenant, key) is { IsContent: true } block && _registry.Remove(block, BlockEventKind.Removed);
        _far?.Drop(tenant, key, wasHere);
        return wasHere;
    }

    /// <summary>As <see cref="Purge"/>, on this node alone, because another node told this one.</summary>
    public void PurgeHere(Tenant tenant, string? model, string? revision)
    {
        _far?.DropScope(tenant, model, revision);
        EndPurge(tenant, model, revision);
    }

    /// <summary>Tells other tiers of a removal. They hold content only: what is known here to be none is not asked for there.</summary>
    private bool ForgetElsewhere(Tenant tenant, ReadOnlySpan<byte> key) =>
        _far is { } far && _registry.Find(tenant, key) is not { IsContent: false } && far.Forget(tenant, key);

    private bool TryReadFar(FarLookup far, Tenant tenant, ReadOnlySpan<byte> key, bool losslessOnly, out BlockRead read)
    {
        read = default;
        if (!far.TryOpen(tenant, key, default, FetchPriority.Foreground, out var block, losslessOnly))
        {
            return false;
        }

        // The miss was counted when it was one.
        NoteRead(block!, isFirst: block!.Hits == 0);
        Interlocked.Increment(ref _counters.FarHits);
        Interlocked.Add(ref _counters.ReadBytes, block.PayloadBytes);
        Interlocked.Increment(ref tenant.Counters.Hits);
        Interlocked.Decrement(ref tenant.Counters.Misses);
        read = new BlockRead(this, block, !block.IsVerified || IsSampled());
        return true;
    }

    private long EndPurge(Tenant tenant, string? model, string? revision)
    {
        var blocks = tenant.Scopes.Purge(model, revision);
        _host.EndPurge();
        Events.Append(BlockEventKind.Purged, tenant.Name, default, 0, BlockTiers.None, isContent: false);
        return blocks;
    }
}
