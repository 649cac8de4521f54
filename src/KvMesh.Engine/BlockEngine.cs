using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.Engine.Leases;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol;
using Microsoft.Extensions.Logging;

namespace KvMesh.Engine;

/// <summary>
/// Keeps blocks: the door of this project. Every member may be called from any thread. Operations on blocks report their
/// outcome as values and never throw. Calls block while they copy or read a disk, so callers own their threads.
/// </summary>
public sealed partial class BlockEngine : IDisposable
{
    private readonly EngineOptions _options;
    private readonly TimeProvider _time;
    private readonly BlockRegistry _registry;
    private readonly BlockWriter _writer;
    private readonly EngineCounters _counters;
    private readonly PrefixMatcher _matcher;
    private readonly EngineHost _host;

    private BlockEngine(EngineHost host, EngineOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        _host = host;
        _options = options;
        _time = time;
        _registry = host.Registry;
        _writer = new BlockWriter(_registry, host.Evictor, host.Counters, options.MaxBlockBytes);
        _counters = host.Counters;
        _matcher = new PrefixMatcher(_registry);
        _host.Start(this, loggers.CreateLogger<BlockEngine>());
    }

    public TenantTable Tenants => _host.Tenants;

    public BlockEventLog Events => _host.Events;

    /// <summary>Opens the data directory, adopts what an earlier process left, and begins to serve.</summary>
    /// <exception cref="EngineStartException">The directory is in use, or the machine cannot give what the options ask.</exception>
    public static BlockEngine Open(EngineOptions options, TimeProvider time, ILoggerFactory loggers) =>
        new(EngineHost.Open(options, time, loggers.CreateLogger<BlockEngine>()), options, time, loggers);

    /// <summary>Figures of this moment, for operators.</summary>
    public EngineSnapshot Snapshot() => _host.Snapshot();

    /// <summary>
    /// Opens a block for reading. The caller disposes <paramref name="read"/> as soon as the bytes are copied or sent; until then
    /// they do not move. A hit below RAM is brought into the arena first. False is a miss.
    /// </summary>
    public bool TryRead(Tenant tenant, ReadOnlySpan<byte> key, ReadIntent intent, out BlockRead read)
    {
        var isUse = intent == ReadIntent.Use;
        if (_registry.Find(tenant, key) is { } block && TryOpen(block, isUse, out var wasLoaded))
        {
            if (isUse)
            {
                NoteRead(block, isFirst: wasLoaded && block.Hits == 0);
                Interlocked.Increment(ref tenant.Counters.Hits);
                Interlocked.Add(ref _counters.ReadBytes, block.PayloadBytes);
            }

            read = new BlockRead(this, block, !block.IsVerified || IsSampled());
            return true;
        }

        if (isUse)
        {
            Interlocked.Increment(ref _counters.Reads);
            Interlocked.Increment(ref tenant.Counters.Misses);
        }

        read = default;
        return false;
    }

    /// <summary>Whether the block is readable now. With a lease it stays so for <paramref name="lease"/>, budget permitting.</summary>
    public bool Exists(Tenant tenant, ReadOnlySpan<byte> key, ConnectionLeases leases, TimeSpan lease)
    {
        if (_registry.Find(tenant, key) is not { } block)
        {
            return false;
        }

        NotePrefix(block);
        var main = MainOf(block);
        return lease <= TimeSpan.Zero || TryLease(main, main.HeldBytes, leases, lease, out _);
    }

    /// <summary>Finds the longest prefix of <paramref name="keys"/> that is here and leases it. Counts as one use of each matched block.</summary>
    public PrefixMatch MatchPrefix(Tenant tenant, KeyRun keys, ConnectionLeases leases, TimeSpan lease)
    {
        var matched = _matcher.Match(tenant, keys, out var deepest);
        while (deepest is not null && lease > TimeSpan.Zero)
        {
            NotePrefix(deepest);
            if (TryLease(deepest, deepest.HeldBytes * matched, leases, lease, out var until))
            {
                return Counted(tenant, keys.Count, new PrefixMatch(matched, until));
            }

            // The last block went between the match and the lease: look again.
            matched = _matcher.Match(tenant, keys, out deepest);
        }

        if (deepest is not null)
        {
            NotePrefix(deepest);
        }

        return Counted(tenant, keys.Count, new PrefixMatch(matched, 0));
    }

    /// <summary>What is known of a block, without counting a use.</summary>
    public bool TryInspect(Tenant tenant, ReadOnlySpan<byte> key, out BlockInfo info)
    {
        var block = _registry.Find(tenant, key);
        info = block is null ? default : InfoOf(block);
        return block is not null;
    }

    /// <summary>Sets aside space for a payload. The key does not exist until the reservation is sealed.</summary>
    public ReserveStatus TryReserve(
        Tenant tenant, ReadOnlySpan<byte> key, int payloadBytes, in BlockTraits traits, out Reservation? reservation)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(key.Length, Limits.MaxKeyBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(payloadBytes);
        if (traits.IsContent && payloadBytes <= _options.MaxBlockBytes && _registry.Find(tenant, key) is { } present)
        {
            NoteRead(present, isFirst: false);
            Interlocked.Increment(ref _counters.DuplicateWrites);
            reservation = null;
            return ReserveStatus.AlreadyPresent;
        }

        return _writer.TryReserve(tenant, key, payloadBytes, traits, out reservation);
    }

    /// <summary>
    /// Makes a filled reservation visible: its payload and checksum table are complete. Ends the reservation whatever the outcome.
    /// </summary>
    public SealStatus Seal(Reservation reservation, in SealOptions options) => _writer.Seal(reservation.End(), options);

    /// <summary>
    /// As <see cref="Seal(Reservation, in SealOptions)"/>, and opens the block that was there at that moment, for SET's GET.
    /// </summary>
    public SealStatus Seal(Reservation reservation, in SealOptions options, out BlockRead? previous)
    {
        var block = reservation.End();
        while (true)
        {
            previous = TryRead(block.Tenant, block.Key, ReadIntent.Inspect, out var read) ? read : null;
            if (_writer.TrySealOver(previous?.Block, block, options, out var status))
            {
                return status;
            }

            previous?.Dispose();
        }
    }

    /// <summary>Gives a reservation back. Nothing becomes visible.</summary>
    public void Abort(Reservation reservation) => _writer.Abort(reservation.End());

    /// <summary>
    /// Removes a block at once, also under a lease, and tells tiers that keep copies for this node. False when there was none here.
    /// </summary>
    public bool Remove(Tenant tenant, ReadOnlySpan<byte> key)
    {
        ForgetElsewhere(tenant, key);
        return _registry.Find(tenant, key) is { } block && _registry.Remove(block, BlockEventKind.Removed);
    }

    /// <summary>Changes when a block expires, in Unix milliseconds; 0 never. False when there is no such block.</summary>
    public bool SetExpiry(Tenant tenant, ReadOnlySpan<byte> key, long expiresAt)
    {
        if (_registry.Find(tenant, key) is not { } block)
        {
            return false;
        }

        var before = Interlocked.Exchange(ref block.ExpiresAt, expiresAt);
        if (block.IsContent)
        {
            // A copy elsewhere has the old expiry and would bring the block back: it goes, and may be made again.
            ForgetElsewhere(tenant, key);
            block.IsOffered = false;
        }

        WaitUntilDecided(block);
        if (block.TryOpen())
        {
            using var read = new BlockRead(this, block, mustVerify: false);
            block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor).ExpiresAt = expiresAt;
        }

        if (before != expiresAt && block.IsOnDisk)
        {
            _host.NoteExpiry(block, isSooner: expiresAt != 0 && (before == 0 || expiresAt < before));
        }

        return !block.IsDead;
    }

    /// <summary>Removes every block of a tenant, or of one model, or of one revision, in constant time. Null stands for all.</summary>
    /// <returns>Blocks that were visible before.</returns>
    public long Purge(Tenant tenant, string? model, string? revision)
    {
        _far?.ForgetScope(tenant, model, revision);
        var blocks = tenant.Purge(model, revision);
        _host.EndPurge();
        Events.Append(BlockEventKind.Purged, tenant.Name, default, 0, BlockTiers.None, isContent: false);
        return blocks;
    }

    /// <summary>
    /// Waits until the space of everything that was purged before the call is free, but for blocks that are being read. False: not within
    /// <paramref name="patience"/>.
    /// </summary>
    public bool AwaitPurge(TimeSpan patience) => _host.AwaitPurge(patience);

    /// <summary>
    /// Visits keys of a tenant from <paramref name="cursor"/> on, which is 0 at first, and returns the next cursor, 0 at the end.
    /// A key that is present during the whole iteration is visited at least once.
    /// </summary>
    public long Scan(Tenant tenant, long cursor, int count, Action<ReadOnlyMemory<byte>, BlockInfo> visit)
    {
        var index = _registry.Index;
        var visited = 0;
        for (var bucket = (int)Math.Clamp(cursor, 0, index.BucketCount); bucket < index.BucketCount; bucket++)
        {
            for (var block = index.Bucket(bucket); block is not null; block = Volatile.Read(ref block.Next))
            {
                if (block.Tenant == tenant && _registry.IsVisible(block))
                {
                    visit(block.KeyBytes.ToMemory(), InfoOf(block));
                    visited++;
                }
            }

            if (visited >= count)
            {
                return bucket + 1 == index.BucketCount ? 0 : bucket + 1;
            }
        }

        return 0;
    }

    /// <summary>Opens the ledger of leases of one connection.</summary>
    public ConnectionLeases OpenLeases(Tenant tenant) => new(tenant.Leases, _time, _options.MaxResidenceLease);

    /// <summary>Checksums of a block did not match what a client received: verify it and quarantine it if it is bad.</summary>
    public void ReportMismatch(Tenant tenant, ReadOnlySpan<byte> key)
    {
        if (TryRead(tenant, key, ReadIntent.Inspect, out var read))
        {
            using (read)
            {
                read.Verify();
            }
        }
    }

    /// <summary>Stops cleanly: saves RAM blocks to disk within the budget and leaves the arena to the next process.</summary>
    public void Dispose() => _host.Dispose();

    /// <summary>Stops at once for a process that takes over on this machine: it adopts the arena, so nothing needs saving.</summary>
    public void HandOver() => _host.Stop(savesToDisk: false);

    internal void NoteVerified(Block block)
    {
        block.IsVerified = true;
        Interlocked.Increment(ref _counters.VerifiedBlocks);
        Interlocked.Add(ref _counters.VerifiedBytes, block.PayloadBytes);
    }

    /// <summary>The bytes are not what was sealed: the block goes at once, from every tier, and is counted.</summary>
    internal void Quarantine(Block block)
    {
        Interlocked.Increment(ref _counters.Mismatches);
        if (_registry.Remove(block, BlockEventKind.Removed))
        {
            Interlocked.Increment(ref _counters.Quarantined);
            _host.LogQuarantine(block);
        }
    }

    private static BlockInfo InfoOf(Block block) => new(
        block.PayloadBytes, block.Tiers, block.IsContent, Volatile.Read(ref block.ExpiresAt), block.Hits, block.TableChecksum,
        block.Scope.Model, block.Scope.Revision);

    private bool TryOpen(Block block, bool isUse, out bool wasLoaded)
    {
        wasLoaded = false;
        var wait = new SpinWait();
        while (true)
        {
            if (block.TryOpen())
            {
                Count(ref _counters.HostHits, isUse);
                return true;
            }

            if (block.IsDead)
            {
                return false;
            }

            if (block.IsOnDisk)
            {
                wasLoaded = _host.TryLoadAndOpen(block);
                Count(ref _counters.DiskHits, isUse && wasLoaded);
                return wasLoaded;
            }

            if (!block.IsClaimed && !block.IsResident && !block.IsOnDisk)
            {
                return false;
            }

            // Somebody judges whether it may leave: an instant.
            wait.SpinOnce();
        }
    }

    private void Count(ref long counter, bool isUse)
    {
        if (isUse)
        {
            Interlocked.Increment(ref counter);
            Interlocked.Increment(ref _counters.Reads);
        }
    }

    /// <summary>A request asked for the chain up to here: a use of the block and its ancestors.</summary>
    private static void NotePrefix(Block block)
    {
        var main = MainOf(block);
        main.Tenant.Host.Touch(main, withAncestors: true);
    }

    /// <summary>
    /// Counts a read for retention, unless the block is under a lease: then the request that reads it has been counted when it
    /// asked for the lease. The first use of a copy on disk moves nothing: the block stays the next to leave until it is asked
    /// for again.
    /// </summary>
    private void NoteRead(Block block, bool isFirst)
    {
        var main = MainOf(block);
        if (Volatile.Read(ref main.LeaseUntil) is var until && until != 0 && until > Now())
        {
            return;
        }

        if (isFirst)
        {
            Interlocked.Increment(ref main.Hits);
        }
        else
        {
            main.Tenant.Host.Touch(main, withAncestors: false);
        }
    }

    /// <summary>A companion leaves with its block: what keeps the one must keep the other.</summary>
    private static Block MainOf(Block block) => block.IsCompanion && Volatile.Read(ref block.Companion) is { } main ? main : block;

    private bool TryLease(Block block, long heldBytes, ConnectionLeases leases, TimeSpan lease, out long until)
    {
        until = leases.Grant(block, heldBytes, lease < _options.MaxExistenceLease ? lease : _options.MaxExistenceLease);
        WaitUntilDecided(block);
        if (until != 0 && block.TryOpen())
        {
            using var read = new BlockRead(this, block, mustVerify: false);
            block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor).LeaseUntil = until;
        }

        return !block.IsDead;
    }

    /// <summary>Somebody may be judging whether the block, which has no other copy, leaves: an instant.</summary>
    private static void WaitUntilDecided(Block block)
    {
        var wait = new SpinWait();
        while (block.IsClaimed && !block.IsOnDisk && !block.IsDead)
        {
            wait.SpinOnce();
        }
    }

    private PrefixMatch Counted(Tenant tenant, int asked, PrefixMatch match)
    {
        Interlocked.Increment(ref _counters.MatchRequests);
        Interlocked.Add(ref _counters.AskedBlocks, asked);
        Interlocked.Add(ref _counters.MatchedBlocks, match.Blocks);
        Interlocked.Add(ref tenant.Counters.Hits, match.Blocks);
        Interlocked.Add(ref tenant.Counters.Misses, asked - match.Blocks);
        return match;
    }

    private bool IsSampled() => _options.VerifyOneReadIn > 0 && Random.Shared.Next(_options.VerifyOneReadIn) == 0;

    private long Now() => _time.GetUtcNow().ToUnixTimeMilliseconds();
}
