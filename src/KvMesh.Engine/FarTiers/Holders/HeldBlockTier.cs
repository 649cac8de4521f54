using System.Collections.Concurrent;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Events;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Engine.FarTiers.Holders;

/// <summary>
/// The memory of connected workers as a tier: they announce what they hold, and hand a block over when this node asks. Nothing is known of a worker but what its
/// connection has said, and it ends with that. What the worker sends comes through the door like any put: this tier only asks and waits. The event log is told of the first
/// worker that announces a block, and of the last one that does not any more.
/// </summary>
internal sealed class HeldBlockTier(BlockRegistry registry, BlockEventLog events, FarTierOptions options, TimeProvider time) : IBlockTier
{
    /// <summary>Its name in figures.</summary>
    public const string TierName = "gpu";

    /// <summary>Most workers that are known to hold one block.</summary>
    private const int MaxHoldersPerBlock = 8;

    private static readonly TimeSpan LongestSlice = TimeSpan.FromMilliseconds(50);

    // Written under the gate, read without.
    private readonly ConcurrentDictionary<KeyDigest, Holding[]> _holders = new();
    private readonly Dictionary<ulong, Holding> _holdings = [];
    private readonly Dictionary<ulong, BlockAsk> _asks = [];
    private readonly Dictionary<Tenant, ulong> _removals = [];
    private readonly HeldPlaces _places = new();
    private int _blocks;
    private long _bytes;

    public Lock Gate { get; } = new();

    public FarTierOptions Options => options;

    public TimeProvider Time => time;

    public string Name => TierName;

    public bool TakesOffers => false;

    /// <summary>Blocks that are announced, each counted once for each worker.</summary>
    public int Blocks => Volatile.Read(ref _blocks);

    /// <summary>How many workers have announced something, and what of it lasts.</summary>
    public HeldSnapshot Snapshot()
    {
        lock (Gate)
        {
            return new HeldSnapshot(_holdings.Count, _blocks, _bytes);
        }
    }

    /// <summary>What is announced of a block, whether its worker answers now or not.</summary>
    public bool TryInspect(Tenant tenant, ReadOnlySpan<byte> key, out HeldBlock block)
    {
        block = default;
        var digest = registry.DigestOf(tenant, key);
        if (Blocks == 0 || !_holders.ContainsKey(digest))
        {
            return false;
        }

        lock (Gate)
        {
            return _holders.TryGetValue(digest, out var holders) && holders[0].TryFind_NeedsLock(digest, out block);
        }
    }

    /// <summary>Adds the announcements of a page; one that lasts during the whole listing is listed. Returns where the next one begins; 0: that was the last.</summary>
    public long List(long from, int most, List<(Tenant Tenant, ReadOnlyMemory<byte> Key)> page)
    {
        lock (Gate)
        {
            return _places.List(from, most, page);
        }
    }

    /// <summary>Null: as many workers as may have announced something.</summary>
    public Holding? Open(Tenant tenant)
    {
        lock (Gate)
        {
            if (_holdings.Count >= options.MaxHolders)
            {
                return null;
            }

            var holding = new Holding(this, tenant, Draw(_holdings));
            _holdings.Add(holding.Number, holding);
            return holding;
        }
    }

    public Holding? Find(Tenant tenant, ulong number)
    {
        lock (Gate)
        {
            return _holdings.TryGetValue(number, out var holding) && holding.Tenant == tenant ? holding : null;
        }
    }

    /// <summary>Removals are counted from 1, so that 0 is none that a worker could have been told.</summary>
    public ulong RemovalsOf_NeedsLock(Tenant tenant) => _removals.GetValueOrDefault(tenant) + 1;

    /// <inheritdoc cref="Holding.Announce"/>
    public AnnounceStatus Announce(Holding holding, KeyRun keys, ReadOnlySpan<uint> lengths, HeldScope scope, ulong removals, out ulong soFar)
    {
        Span<byte> key = stackalloc byte[Limits.MaxKeyBytes];
        key = key[..keys.KeyBytes];
        lock (Gate)
        {
            soFar = RemovalsOf_NeedsLock(holding.Tenant);
            if (holding.IsClosed || (removals != 0 && removals != soFar))
            {
                return AnnounceStatus.Behind;
            }

            var added = 0;
            for (var index = 0; index < keys.Count; index++)
            {
                keys.CopyKey(index, key);
                added += holding.TryFind_NeedsLock(registry.DigestOf(holding.Tenant, key), out _) ? 0 : 1;
            }

            if (holding.Count + added > options.MaxBlocksPerHolder)
            {
                return AnnounceStatus.TooMany;
            }

            for (var index = 0; index < keys.Count; index++)
            {
                keys.CopyKey(index, key);
                Add_NeedsLock(holding, key, (int)lengths[index], scope);
            }

            return AnnounceStatus.Announced;
        }
    }

    /// <inheritdoc cref="Holding.Withdraw"/>
    public bool Withdraw(Holding holding, ReadOnlySpan<byte> key)
    {
        var digest = registry.DigestOf(holding.Tenant, key);
        lock (Gate)
        {
            if (holding.AskOf_NeedsLock(digest) is { IsTaken: false } ask)
            {
                End_NeedsLock(ask, FetchOutcome.FalseHit);
            }

            return Remove_NeedsLock(holding, digest);
        }
    }

    /// <summary>The worker does not have a block any more that it was asked for. False: nobody asks for it.</summary>
    public bool Decline(Tenant tenant, ulong number)
    {
        lock (Gate)
        {
            if (!_asks.TryGetValue(number, out var ask) || ask.Holding.Tenant != tenant || ask.IsTaken)
            {
                return false;
            }

            ask.Holding.NoteAnswer();
            Remove_NeedsLock(ask.Holding, ask.Digest);
            End_NeedsLock(ask, FetchOutcome.FalseHit);
            return true;
        }
    }

    /// <summary>
    /// The worker begins to send a block that it was asked for. Null: nobody asks for that, or the block was removed since; the bytes are not wanted. What is
    /// not the block that was announced ends the ask and its announcement.
    /// </summary>
    /// <param name="isOther">Whether what is sent is not what was announced.</param>
    public BlockAsk? BeginHandOver(Tenant tenant, ulong number, ReadOnlySpan<byte> key, long payloadBytes, out bool isOther)
    {
        lock (Gate)
        {
            isOther = false;
            if (!_asks.TryGetValue(number, out var ask) || ask.Holding.Tenant != tenant || ask.IsTaken)
            {
                return null;
            }

            ask.Holding.NoteAnswer();
            isOther = ask.PayloadBytes != payloadBytes || !key.SequenceEqual(ask.Key);
            if (isOther)
            {
                Remove_NeedsLock(ask.Holding, ask.Digest);
                End_NeedsLock(ask, FetchOutcome.Failed);
                return null;
            }

            ask.IsTaken = true;
            return ask;
        }
    }

    /// <summary>The bytes of a hand-over are in, or will not come.</summary>
    /// <param name="ask">What was asked.</param>
    /// <param name="isHere">Whether the block is here now.</param>
    /// <param name="wasWrong">Whether its bytes were not what their checksums say: it is not asked for again.</param>
    public void EndHandOver(BlockAsk ask, bool isHere, bool wasWrong)
    {
        lock (Gate)
        {
            if (wasWrong)
            {
                Remove_NeedsLock(ask.Holding, ask.Digest);
            }

            End_NeedsLock(ask, isHere ? FetchOutcome.Arrived : FetchOutcome.Failed);
        }
    }

    public void Close(Holding holding)
    {
        lock (Gate)
        {
            if (holding.IsClosed)
            {
                return;
            }

            foreach (var digest in holding.Digests.ToList())
            {
                Remove_NeedsLock(holding, digest);
            }

            foreach (var ask in holding.Asks.ToList())
            {
                // One that is being received comes over another connection, perhaps: it ends by itself.
                if (!ask.IsTaken)
                {
                    End_NeedsLock(ask, FetchOutcome.Failed);
                }
            }

            holding.Close_NeedsLock();
            _holdings.Remove(holding.Number);
        }
    }

    public ulong Believes(Tenant tenant, ReadOnlySpan<byte> key)
    {
        if (Blocks == 0 || !_holders.TryGetValue(registry.DigestOf(tenant, key), out var holders))
        {
            return 0;
        }

        var answering = 0UL;
        foreach (var holding in holders)
        {
            answering += holding.Answers(time) ? 1UL : 0;
        }

        return answering;
    }

    public int CountPrefix(Tenant tenant, KeyRun keys, int from)
    {
        if (Blocks == 0)
        {
            return 0;
        }

        Span<byte> key = stackalloc byte[Limits.MaxKeyBytes];
        key = key[..keys.KeyBytes];
        for (var index = from; index < keys.Count; index++)
        {
            keys.CopyKey(index, key);
            if (Believes(tenant, key) == 0)
            {
                return index - from;
            }
        }

        return keys.Count - from;
    }

    public FetchOutcome Fetch(Tenant tenant, ReadOnlySpan<byte> key, ulong belief, IBlockIntake intake)
    {
        var digest = registry.DigestOf(tenant, key);
        if (!_holders.TryGetValue(digest, out var known))
        {
            return FetchOutcome.FalseHit;
        }

        var outcome = FetchOutcome.Failed;
        var holders = known.Where(holding => holding.Answers(time)).OrderBy(static holding => holding.OpenAsks).ToArray();
        for (var index = 0; index < holders.Length && intake.Remaining > TimeSpan.Zero; index++)
        {
            if (Ask(holders[index], digest, key, intake) is { } ask)
            {
                // Whoever is asked first leaves time for the others.
                outcome = Await(ask, intake, intake.Remaining / (holders.Length - index));
                if (outcome == FetchOutcome.Arrived)
                {
                    break;
                }
            }
        }

        return outcome;
    }

    public bool Offer(in LeavingBlock block) => true;

    public bool Forget(Tenant tenant, ReadOnlySpan<byte> key)
    {
        var digest = registry.DigestOf(tenant, key);
        var wasHeld = false;
        lock (Gate)
        {
            CountRemoval_NeedsLock(tenant);
            foreach (var ask in _asks.Values.Where(ask => ask.Digest == digest).ToList())
            {
                Forget_NeedsLock(ask);
            }

            foreach (var holding in _holdings.Values)
            {
                if (Remove_NeedsLock(holding, digest))
                {
                    wasHeld = true;
                    holding.Tell_NeedsLock(HolderAskKind.Forget, key.ToArray());
                }
            }
        }

        // What is sealed by now is found by whoever removes it, and nothing is sealed later.
        registry.AwaitSeal(digest);
        return wasHeld;
    }

    public void ForgetScope(Tenant tenant, string? model, string? revision)
    {
        var scope = new HolderScope(model, revision);
        lock (Gate)
        {
            CountRemoval_NeedsLock(tenant);
            foreach (var holding in _holdings.Values.Where(holding => holding.Tenant == tenant))
            {
                var digests = holding.DigestsOf_NeedsLock(scope);
                digests.ForEach(digest => Remove_NeedsLock(holding, digest));
                foreach (var ask in holding.Asks.ToList())
                {
                    // An ask does not know its scope: one too many that is forgotten is a miss, and no more.
                    Forget_NeedsLock(ask);
                }

                holding.Tell_NeedsLock(HolderAskKind.ForgetScope, scope.ToBytes());
            }
        }
    }

    public void DropScope(Tenant tenant, string? model, string? revision) => ForgetScope(tenant, model, revision);

    private void Add_NeedsLock(Holding holding, ReadOnlySpan<byte> key, int payloadBytes, HeldScope scope)
    {
        var digest = registry.DigestOf(holding.Tenant, key);
        var isKnown = holding.TryFind_NeedsLock(digest, out var before);
        var place = isKnown ? before.Place : _places.Take(holding, key);
        holding.Set_NeedsLock(digest, new HeldBlock(payloadBytes, scope, place));
        _bytes += payloadBytes - before.PayloadBytes;
        Volatile.Write(ref _blocks, _blocks + (isKnown ? 0 : 1));
        var others = _holders.GetValueOrDefault(digest) ?? [];
        if (others.Length < MaxHoldersPerBlock && !others.Contains(holding))
        {
            _holders[digest] = [.. others, holding];
            if (others.Length == 0)
            {
                Tell(BlockEventKind.Held, holding.Tenant, _places.KeyAt(place), payloadBytes, BlockTiers.Gpu);
            }
        }
    }

    /// <summary>Where the block is by now: whoever watches need not have seen what came before.</summary>
    private void Tell(BlockEventKind kind, Tenant tenant, in KeyBytes key, int payloadBytes, BlockTiers held)
    {
        var tiers = registry.Find(tenant, key.Span) is { } block ? block.Tiers | held : held;
        events.Append(kind, tenant.Name, key, payloadBytes, tiers, isContent: true);
    }

    private bool Remove_NeedsLock(Holding holding, KeyDigest digest)
    {
        if (!holding.Remove_NeedsLock(digest, out var block))
        {
            return false;
        }

        Volatile.Write(ref _blocks, _blocks - 1);
        _bytes -= block.PayloadBytes;
        var key = _places.KeyAt(block.Place);
        _places.Free(block.Place);
        if (_holders.TryGetValue(digest, out var holders))
        {
            Holding[] others = [.. holders.Where(other => other != holding)];
            if (others.Length == 0)
            {
                _holders.TryRemove(digest, out _);
                Tell(BlockEventKind.LetGo, holding.Tenant, key, block.PayloadBytes, BlockTiers.None);
            }
            else
            {
                _holders[digest] = others;
            }
        }

        return true;
    }

    /// <summary>Asks a worker, or joins those who wait for the same block. Null: it does not hold the block, or is asked for as much as may be.</summary>
    private BlockAsk? Ask(Holding holding, KeyDigest digest, ReadOnlySpan<byte> key, IBlockIntake intake)
    {
        var isBackground = intake.Priority == FetchPriority.Background;
        lock (Gate)
        {
            holding.Overdue_NeedsLock(time, options.LongestDeadline).ForEach(ask => End_NeedsLock(ask, FetchOutcome.Failed));
            if (!holding.TryFind_NeedsLock(digest, out var block))
            {
                return null;
            }

            intake.Expect(block.PayloadBytes);
            var ask = holding.AskOf_NeedsLock(digest);
            if (ask is null)
            {
                // Orders leave half of the room to clients.
                if (holding.OpenAsks >= (isBackground ? options.MaxAsksPerHolder / 2 : options.MaxAsksPerHolder))
                {
                    return null;
                }

                ask = new BlockAsk(Draw(_asks), holding, digest, key.ToArray(), block.PayloadBytes, time.GetTimestamp()) { IsBackground = isBackground, Limit = intake.Remaining };
                _asks.Add(ask.Number, ask);
                holding.Add_NeedsLock(ask);
                return ask;
            }

            var limit = time.GetElapsedTime(ask.StartedAt) + intake.Remaining;
            ask.Limit = limit > ask.Limit ? limit : ask.Limit;
            ask.IsBackground &= isBackground;
            return ask;
        }
    }

    /// <summary>Waits for a worker. In slices, since whoever stops the engine ends the intake's time and nothing else.</summary>
    private FetchOutcome Await(BlockAsk ask, IBlockIntake intake, TimeSpan share)
    {
        var startedAt = time.GetTimestamp();
        while (true)
        {
            var rest = share - time.GetElapsedTime(startedAt);
            rest = rest < intake.Remaining ? rest : intake.Remaining;
            if (rest > TimeSpan.Zero)
            {
                if (ask.WaitForEnd(rest < LongestSlice ? rest : LongestSlice) is { } outcome)
                {
                    return outcome;
                }

                continue;
            }

            lock (Gate)
            {
                if (!ask.IsTaken)
                {
                    ask.Holding.NoteSilence(time.GetTimestamp());
                }
            }

            return FetchOutcome.Failed;
        }
    }

    private void Forget_NeedsLock(BlockAsk ask)
    {
        ask.IsForgotten = true;
        if (!ask.IsTaken)
        {
            End_NeedsLock(ask, FetchOutcome.FalseHit);
        }
    }

    private void End_NeedsLock(BlockAsk ask, FetchOutcome outcome)
    {
        _asks.Remove(ask.Number);
        ask.Holding.Remove_NeedsLock(ask);
        ask.End(outcome);
    }

    private void CountRemoval_NeedsLock(Tenant tenant) => _removals[tenant] = _removals.GetValueOrDefault(tenant) + 1;

    /// <summary>A number that nobody has; 0 is none.</summary>
    private static ulong Draw<T>(Dictionary<ulong, T> taken)
    {
        while (true)
        {
            var number = (ulong)Random.Shared.NextInt64(1, long.MaxValue);
            if (!taken.ContainsKey(number))
            {
                return number;
            }
        }
    }
}
