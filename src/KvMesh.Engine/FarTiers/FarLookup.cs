using System.Collections.Concurrent;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.FarTiers;

/// <summary>
/// Asks the tiers beyond this node for what is not here, one tier after the other, and puts what comes into the arena. Of many readers
/// who miss one block, one fetches it and the others wait for it.
/// </summary>
internal sealed class FarLookup(BlockRegistry registry, BlockWriter writer, FarTierOptions options, TimeProvider time) : IDisposable
{
    /// <summary>By block, and by whether only an exact copy is wanted: who wants that need not wait for one that is not.</summary>
    private readonly ConcurrentDictionary<(KeyDigest Digest, bool LosslessOnly), RunningFetch> _running = new();
    private readonly SemaphoreSlim _turns = new(options.MaxForegroundFetches);
    private volatile AttachedTier[] _tiers = [];
    private volatile bool _isStopping;

    public FarTierOptions Options => options;

    public TimeProvider Time => time;

    public bool IsStopping => _isStopping;

    public IReadOnlyList<AttachedTier> Tiers => _tiers;

    /// <summary>Blocks that clients wait for now.</summary>
    public int ForegroundFetches => options.MaxForegroundFetches - _turns.CurrentCount;

    public long Hits => _tiers.Sum(tier => Interlocked.Read(ref tier.Hits) - Interlocked.Read(ref tier.Background));

    /// <summary>Adds a tier behind those that are there. Before the first read that is to find it.</summary>
    public void Attach(IBlockTier tier) => _tiers = [.. _tiers, new AttachedTier(tier)];

    /// <summary>Adds a tier before those that are there.</summary>
    public void AttachFirst(IBlockTier tier) => _tiers = [new AttachedTier(tier), .. _tiers];

    /// <summary>Whether some tier believes to hold the block.</summary>
    public bool IsBelieved(Tenant tenant, ReadOnlySpan<byte> key)
    {
        foreach (var tier in _tiers)
        {
            if (tier.Tier.Believes(tenant, key) != 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether some tier has the block, as far as it can tell.</summary>
    public bool Has(Tenant tenant, ReadOnlySpan<byte> key)
    {
        foreach (var tier in _tiers)
        {
            if (tier.Tier.Has(tenant, key))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// A client removes the block: tiers forget it, and a fetch that runs now brings nothing. Before the block is looked for here, so that
    /// whichever comes first, fetch or removal, nothing is left.
    /// </summary>
    /// <returns>Whether a tier believed to hold it.</returns>
    public bool Forget(Tenant tenant, ReadOnlySpan<byte> key)
    {
        var wasBelieved = false;
        foreach (var tier in _tiers)
        {
            wasBelieved |= tier.Tier.Forget(tenant, key);
        }

        ForgetRunning(tenant, key);
        return wasBelieved;
    }

    /// <summary>A fetch of this block that runs now brings nothing: what it has sealed by now is found by the caller, and it seals nothing later.</summary>
    public void ForgetRunning(Tenant tenant, ReadOnlySpan<byte> key)
    {
        if (_running.IsEmpty)
        {
            return;
        }

        var digest = registry.DigestOf(tenant, key);
        foreach (var losslessOnly in (ReadOnlySpan<bool>)[false, true])
        {
            if (_running.TryGetValue((digest, losslessOnly), out var running))
            {
                running.IsForgotten = true;
                registry.AwaitSeal(digest);
            }
        }
    }

    /// <summary>Nothing that is on its way now arrives.</summary>
    public void ForgetAllRunning()
    {
        foreach (var (_, running) in _running)
        {
            running.IsForgotten = true;
        }
    }

    /// <summary>Another node removed the block: tiers give up what only this node would take away.</summary>
    public void Drop(Tenant tenant, ReadOnlySpan<byte> key, bool wasHere)
    {
        foreach (var tier in _tiers)
        {
            tier.Tier.Drop(tenant, key, wasHere);
        }
    }

    /// <summary>As <see cref="Drop"/> for a scope. Nothing that is on its way now arrives.</summary>
    public void DropScope(Tenant tenant, string? model, string? revision)
    {
        foreach (var tier in _tiers)
        {
            tier.Tier.DropScope(tenant, model, revision);
        }

        ForgetAllRunning();
    }

    /// <summary>As <see cref="Forget"/> for a scope. Before it is purged here: what a running fetch reserved belongs to the scope that goes.</summary>
    public void ForgetScope(Tenant tenant, string? model, string? revision)
    {
        foreach (var tier in _tiers)
        {
            tier.Tier.ForgetScope(tenant, model, revision);
        }

        ForgetAllRunning();
    }

    /// <summary>Makes a match longer by what other tiers believe to hold behind it. What it adds is a promise that may become a miss.</summary>
    public PrefixMatch Extend(Tenant tenant, KeyRun keys, PrefixMatch match)
    {
        var end = match.Blocks;
        var startedAt = time.GetTimestamp();
        for (var isGrowing = true; isGrowing && end < keys.Count && time.GetElapsedTime(startedAt) < options.ShortestDeadline;)
        {
            isGrowing = false;
            foreach (var tier in _tiers)
            {
                var more = Math.Clamp(tier.Tier.CountPrefix(tenant, keys, end), 0, keys.Count - end);
                Interlocked.Add(ref tier.Promised, more);
                end += more;
                isGrowing |= more > 0;
            }

            end = isGrowing ? SkipLocal(tenant, keys, end) : end;
        }

        return match with { Blocks = end, Elsewhere = end - match.Blocks };
    }

    /// <summary>Fetches a block and opens it. The caller closes it. False: a miss.</summary>
    /// <param name="parent">The block that it follows, as far as the caller knows: its origin may have it without that one. Empty: who gives it says.</param>
    /// <param name="losslessOnly">Whether a copy that has lost something is a miss.</param>
    public bool TryOpen(
        Tenant tenant, ReadOnlySpan<byte> key, ReadOnlyMemory<byte> parent, FetchPriority priority, out Block? opened, bool losslessOnly = false)
    {
        opened = null;
        var tiers = _tiers;
        Span<ulong> beliefs = stackalloc ulong[tiers.Length];
        if (_isStopping || !AnyBelieves(tiers, tenant, key, beliefs))
        {
            return false;
        }

        var fetch = (registry.DigestOf(tenant, key), losslessOnly);
        var own = new RunningFetch();
        var running = _running.GetOrAdd(fetch, own);
        if (running != own)
        {
            return running.WaitForEnd(options) && TryOpenHere(tenant, key, losslessOnly, out opened);
        }

        byte[]? companionOf = null;
        try
        {
            var intake = new BlockIntake(this, tenant, key.ToArray(), parent, priority, time.GetTimestamp(), losslessOnly);
            opened = FetchInTurn(own, tenant, intake, tiers, beliefs, out companionOf);
        }
        finally
        {
            _running.TryRemove(fetch, out _);
            own.End();
        }

        if (opened is not null && own.IsForgotten)
        {
            registry.Remove(opened, BlockEventKind.Removed);
            Close(opened);
            opened = null;
        }

        if (opened is not null && companionOf is not null)
        {
            CompletePair(tenant, companionOf, priority, ref opened);
        }

        return opened is not null;
    }

    /// <summary>
    /// Has one tier bring a block here. It waits for nobody's fetch and takes no turn: those wait for other nodes, perhaps for the one that asks now, and two nodes that
    /// wait for each other would both wait until their deadlines. It takes half of the shortest deadline at most: another node that waits longer for its answer takes this one
    /// for dead. What comes later is kept for the next who asks.
    /// </summary>
    public void FetchFrom(IBlockTier asked, Tenant tenant, ReadOnlySpan<byte> key)
    {
        if (_isStopping || asked.Believes(tenant, key) is not (not 0 and var belief) || _tiers.FirstOrDefault(tier => tier.Tier == asked) is not { } tier)
        {
            return;
        }

        var intake = new BlockIntake(this, tenant, key.ToArray(), default, FetchPriority.Foreground, time.GetTimestamp(), losslessOnly: false, options.ShortestDeadline / 2);
        var outcome = asked.Fetch(tenant, key, belief, intake);
        if (outcome == FetchOutcome.Arrived && registry.Find(tenant, key) is { } arrived)
        {
            tier.CountHit(arrived.PayloadBytes, intake.Priority);
        }
        else
        {
            tier.Count(outcome is FetchOutcome.Filled or FetchOutcome.Arrived ? FetchOutcome.Failed : outcome);
        }

        intake.Abandon();
    }

    /// <summary>Space for a block that is coming, unless what is here is as good. Its parent may come after it, or never.</summary>
    public Reservation? Reserve(Tenant tenant, ReadOnlySpan<byte> key, int payloadBytes, in BlockTraits traits, Loss? loss) =>
        (registry.Find(tenant, key) is not { } present || (loss is null && present.Loss is not null))
        && writer.TryReserve(tenant, key, payloadBytes, traits, out var reservation, loss) == ReserveStatus.Reserved ? reservation : null;

    public void Abort(Reservation reservation) => writer.Abort(reservation.End());

    /// <summary>Ends every wait: from now on nothing is fetched.</summary>
    public void Stop() => _isStopping = true;

    public void Dispose()
    {
        Stop();

        // Whoever still fetches writes into the arena: it must not go before they have ended, which Stop makes soon.
        for (var turn = 0; turn < options.MaxForegroundFetches && _turns.Wait(options.LongestDeadline); turn++)
        {
        }

        _turns.Dispose();
    }

    /// <summary>A companion is nothing without its block: fetches that too. Without it, the companion is a miss.</summary>
    private void CompletePair(Tenant tenant, byte[] mainKey, FetchPriority priority, ref Block? companion)
    {
        if (registry.Find(tenant, mainKey) is null && TryOpen(tenant, mainKey, default, priority, out var main))
        {
            Close(main!);
        }

        if (!registry.IsVisible(companion!))
        {
            Close(companion!);
            companion = null;
        }
    }

    private Block? FetchInTurn(
        RunningFetch running, Tenant tenant, BlockIntake intake, AttachedTier[] tiers, ReadOnlySpan<ulong> beliefs, out byte[]? companionOf)
    {
        companionOf = null;
        if (intake.Priority == FetchPriority.Background)
        {
            return Fetch(running, tenant, intake, tiers, beliefs, out companionOf);
        }

        if (!_turns.Wait(intake.Remaining))
        {
            return null;
        }

        try
        {
            return Fetch(running, tenant, intake, tiers, beliefs, out companionOf);
        }
        finally
        {
            _turns.Release();
        }
    }

    private Block? Fetch(
        RunningFetch running, Tenant tenant, BlockIntake intake, AttachedTier[] tiers, ReadOnlySpan<ulong> beliefs, out byte[]? companionOf)
    {
        companionOf = null;
        var key = intake.Key;
        try
        {
            // It may have come between the miss and now.
            if (TryOpenHere(tenant, key, intake.LosslessOnly, out var present))
            {
                return present;
            }

            for (var index = 0; index < tiers.Length && intake.Remaining > TimeSpan.Zero; index++)
            {
                if (beliefs[index] == 0)
                {
                    continue;
                }

                var tier = tiers[index];
                var mismatches = intake.Mismatches;
                var outcome = tier.Tier.Fetch(tenant, key, beliefs[index], intake);
                Interlocked.Add(ref tier.Mismatches, intake.Mismatches - mismatches);
                if (outcome == FetchOutcome.Filled && intake.IsWhole)
                {
                    companionOf = intake.CompanionOf;
                    tier.CountHit(intake.Payload.Length, intake.Priority);
                    return Seal(running, tenant, intake);
                }

                if (outcome == FetchOutcome.Arrived && TryOpenHere(tenant, key, intake.LosslessOnly, out var arrived))
                {
                    tier.CountHit(arrived!.PayloadBytes, intake.Priority);
                    return arrived;
                }

                tier.Count(outcome is FetchOutcome.Filled or FetchOutcome.Arrived ? FetchOutcome.Failed : outcome);
                intake.Abandon();
            }

            return TryOpenHere(tenant, key, intake.LosslessOnly, out var late) ? late : null;
        }
        finally
        {
            intake.Abandon();
        }
    }

    private Block? Seal(RunningFetch running, Tenant tenant, BlockIntake intake)
    {
        var block = intake.Take().End();
        var seal = new SealOptions { ExpiresAt = intake.ExpiresAt, Unless = () => running.IsForgotten };
        return writer.TrySealFetched(block, seal, intake.Priority == FetchPriority.Background) ? block
            : TryOpenHere(tenant, intake.Key, intake.LosslessOnly, out var present) ? present
            : null;
    }

    private bool TryOpenHere(Tenant tenant, ReadOnlySpan<byte> key, bool losslessOnly, out Block? opened)
    {
        opened = registry.Find(tenant, key);
        if (opened is not null && opened.TryOpen())
        {
            if (!losslessOnly || opened.Loss is null)
            {
                return true;
            }

            Close(opened);
        }

        opened = null;
        return false;
    }

    private int SkipLocal(Tenant tenant, KeyRun keys, int from)
    {
        Span<byte> key = stackalloc byte[Limits.MaxKeyBytes];
        key = key[..keys.KeyBytes];
        for (; from < keys.Count; from++)
        {
            keys.CopyKey(from, key);
            if (registry.Find(tenant, key) is null)
            {
                break;
            }
        }

        return from;
    }

    /// <summary>Asks every tier what it believes. Those that hold nothing are counted at once.</summary>
    private static bool AnyBelieves(AttachedTier[] tiers, Tenant tenant, ReadOnlySpan<byte> key, Span<ulong> beliefs)
    {
        var isAny = false;
        for (var index = 0; index < tiers.Length; index++)
        {
            beliefs[index] = tiers[index].Tier.Believes(tenant, key);
            isAny |= beliefs[index] != 0;
            if (beliefs[index] == 0)
            {
                tiers[index].Count(FetchOutcome.NotHere);
            }
        }

        return isAny;
    }

    private static void Close(Block block) => new BlockRead(null!, block, mustVerify: false).Dispose();
}
