using KvMesh.Engine.Advice;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
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
    private readonly KeyScan _scan;
    private readonly EngineHost _host;

    private BlockEngine(EngineHost host, EngineOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        _host = host;
        _options = options;
        _time = time;
        _registry = host.Registry;
        _writer = new BlockWriter(_registry, host.Evictor, host.Counters, options.MaxBlockBytes, host.Progressive);
        _counters = host.Counters;
        _matcher = new PrefixMatcher(_registry);
        _scan = new KeyScan(_registry);
        _host.Start(this, loggers.CreateLogger<BlockEngine>());
    }

    public TenantTable Tenants => _host.Tenants;

    /// <summary>What it is made of, for tests of single steps.</summary>
    internal EngineHost Parts => _host;

    public BlockEventLog Events => _host.Events;

    /// <summary>Opens the data directory, adopts what an earlier process left, and begins to serve.</summary>
    /// <param name="options">What it may use.</param>
    /// <param name="time">Its clock.</param>
    /// <param name="loggers">Where it says what it did.</param>
    /// <param name="diskCoder">Writes blocks to disk in fewer bytes, and reads what was written so; null: blocks are written as they are, and those that an earlier process encoded are forgotten.</param>
    /// <param name="hostCoder">Keeps blocks of RAM in fewer bytes; null: they stay as they are, and those that an earlier process encoded are read by the coder of the disk, if there is one.</param>
    /// <exception cref="EngineStartException">The directory is in use, or the machine cannot give what the options ask.</exception>
    public static BlockEngine Open(
        EngineOptions options, TimeProvider time, ILoggerFactory loggers, IPayloadCoder? diskCoder = null, IPayloadCoder? hostCoder = null) =>
        new(EngineHost.Open(options, time, loggers.CreateLogger<BlockEngine>(), diskCoder, hostCoder), options, time, loggers);

    /// <summary>Figures of this moment, for operators.</summary>
    public EngineSnapshot Snapshot() => _host.Snapshot() with { Held = _held?.Snapshot() ?? default };

    /// <summary>What is known of a block, without counting a use. Of one that lies encoded on disk a granule is read.</summary>
    public bool TryInspect(Tenant tenant, ReadOnlySpan<byte> key, out BlockInfo info)
    {
        var block = _registry.Find(tenant, key);
        info = block is null ? default : InfoOf(block) with { OnDisk = _host.FormOnDisk(block), Tiers = block.Tiers | (IsHeld(tenant, key) ? BlockTiers.Gpu : BlockTiers.None) };
        return block is not null;
    }

    /// <summary>Sets aside space for a payload. The key does not exist until the reservation is sealed.</summary>
    public ReserveStatus TryReserve(
        Tenant tenant, ReadOnlySpan<byte> key, int payloadBytes, in BlockTraits traits, out Reservation? reservation)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(key.Length, Limits.MaxKeyBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(payloadBytes);
        if (traits.IsContent && payloadBytes <= _options.MaxBlockBytes && _registry.Find(tenant, key) is { Loss: null } present
            && (!traits.LosslessOnly || present.IsLosslessOnly))
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
    /// Removes a block at once, also under a lease, and tells the attached tiers, for keys that may name content. False when there was none,
    /// here or, as far as is known, in a tier.
    /// </summary>
    public bool Remove(Tenant tenant, ReadOnlySpan<byte> key) => ForgetElsewhere(tenant, key) | RemoveHere(tenant, key);

    /// <summary>Removes a block at once, also under a lease, from this node alone: for keys that are known to name no content. False when there was none.</summary>
    public bool RemoveHere(Tenant tenant, ReadOnlySpan<byte> key)
    {
        tenant.Host.Advisor.Forget(KeyHash.Of(tenant, key));
        return _registry.Remove(tenant, key, BlockEventKind.Removed);
    }

    /// <summary>Removes every block of a tenant, or of one model, or of one revision, in constant time. Null stands for all.</summary>
    /// <returns>Blocks that were visible before.</returns>
    public long Purge(Tenant tenant, string? model, string? revision)
    {
        _far?.ForgetScope(tenant, model, revision);
        return EndPurge(tenant, model, revision);
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
    public long Scan(Tenant tenant, long cursor, int count, Action<ReadOnlyMemory<byte>, BlockInfo> visit) =>
        _scan.Visit(tenant, cursor, count, int.MaxValue, block => visit(block.KeyBytes.ToMemory(), InfoOf(block)));

    /// <summary>
    /// As <see cref="Scan(Tenant, long, int, Action{ReadOnlyMemory{byte}, BlockInfo})"/>, for whoever looks in passing: it allocates nothing,
    /// and looks at <paramref name="places"/> of the index at most, of which many may be empty.
    /// </summary>
    public long Scan(Tenant tenant, long cursor, int count, int places, BlockVisitor visit) =>
        _scan.Visit(tenant, cursor, count, places, block => visit(block.Key, InfoOf(block)));

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
        NoteVerified(block.PayloadBytes);
    }

    internal void NoteVerified(int bytes)
    {
        Interlocked.Increment(ref _counters.VerifiedBlocks);
        Interlocked.Add(ref _counters.VerifiedBytes, bytes);
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
        block.Scope.Model, block.Scope.Revision)
    {
        IsFollowed = block.HasChildren,
        FetchBytes = FetchBytesOf(block),
        Loss = block.Loss,
        IsLosslessOnly = block.IsLosslessOnly,
        LossBelow = block.IsOnDisk ? block.LossyBelow?.Loss : null,
    };

    /// <summary>A companion leaves with its block: what keeps the one must keep the other.</summary>
    private static Block MainOf(Block block) => block.IsCompanion && Volatile.Read(ref block.Companion) is { } main ? main : block;

    private long Now() => _time.GetUtcNow().ToUnixTimeMilliseconds();
}
