using KvMesh.Engine.Blocks;
using KvMesh.Engine.Leases;

namespace KvMesh.Engine;

/// <summary>Reading what is on this node.</summary>
public sealed partial class BlockEngine
{
    /// <summary>
    /// Opens a block for reading. The caller disposes <paramref name="read"/> as soon as the bytes are copied or sent; until then
    /// they do not move. A hit below RAM is brought into the arena first. False is a miss.
    /// </summary>
    /// <param name="losslessOnly">Whether a copy that has lost something is a miss.</param>
    public bool TryRead(Tenant tenant, ReadOnlySpan<byte> key, ReadIntent intent, out BlockRead read, bool losslessOnly = false)
    {
        var isUse = intent == ReadIntent.Use;
        while (_registry.Find(tenant, key) is { } block)
        {
            if (!TryOpen(block, isUse, losslessOnly, out var wasLoaded))
            {
                if (!block.IsDead)
                {
                    break;
                }

                // Replaced between the two steps, perhaps: then its successor is there.
                continue;
            }

            if (isUse)
            {
                NoteRead(block, isFirst: wasLoaded && block.Hits == 0);
                NoteReadOf(tenant, key, block);
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
            NoteReadOf(tenant, key, null);
        }

        read = default;
        return false;
    }

    /// <summary>Whether the block is readable now. With a lease it stays so for <paramref name="lease"/>, budget permitting.</summary>
    /// <param name="losslessOnly">Whether a copy that has lost something does not count.</param>
    public bool Exists(Tenant tenant, ReadOnlySpan<byte> key, ConnectionLeases leases, TimeSpan lease, bool losslessOnly = false)
    {
        while (_registry.Find(tenant, key) is { } block && (!losslessOnly || block.Loss is null))
        {
            NotePrefix(block);
            var main = MainOf(block);
            if (lease <= TimeSpan.Zero || (TryLease(main, main.HeldBytes, leases, lease, out _) && (!losslessOnly || block.Loss is null)))
            {
                NoteAsked(tenant, key, block);
                return true;
            }

            // Gone between the two steps, or replaced, or not as good any more: look again.
        }

        NoteAsked(tenant, key, null);
        return false;
    }

    /// <summary>Finds the longest prefix of <paramref name="keys"/> that is here and leases it. Counts as one use of each matched block.</summary>
    /// <param name="losslessOnly">
    /// Whether a copy that has lost something ends the prefix. The lease keeps the last block as it is; those before it may lose something
    /// while it runs.
    /// </param>
    public PrefixMatch MatchPrefix(Tenant tenant, KeyRun keys, ConnectionLeases leases, TimeSpan lease, bool losslessOnly = false)
    {
        var matched = _matcher.Match(tenant, keys, losslessOnly, out var deepest);
        while (deepest is not null && lease > TimeSpan.Zero)
        {
            NotePrefix(deepest);
            if (TryLease(deepest, deepest.HeldBytes * matched, leases, lease, out var until) && (!losslessOnly || deepest.Loss is null))
            {
                NoteAsked(tenant, keys, matched, deepest);
                return Counted(tenant, keys.Count, new PrefixMatch(matched, until));
            }

            // The last block went between the match and the lease: look again.
            matched = _matcher.Match(tenant, keys, losslessOnly, out deepest);
        }

        if (deepest is not null)
        {
            NotePrefix(deepest);
        }

        NoteAsked(tenant, keys, matched, deepest);
        return Counted(tenant, keys.Count, new PrefixMatch(matched, 0));
    }

    private bool TryOpen(Block block, bool isUse, bool losslessOnly, out bool wasLoaded)
    {
        wasLoaded = false;
        var wait = new SpinWait();
        while (true)
        {
            if (block.TryOpen())
            {
                if (!IsWanted(block, losslessOnly))
                {
                    return false;
                }

                Count(ref _counters.HostHits, isUse);
                return true;
            }

            if (block.IsDead)
            {
                return false;
            }

            if (losslessOnly && block.Loss is not null)
            {
                return false;
            }

            if (block.IsOnDisk || Volatile.Read(ref block.Encoded) is not null)
            {
                var isOpen = _host.TryLoadAndOpen(block, out var wasOnDisk) && IsWanted(block, losslessOnly);
                wasLoaded = isOpen && wasOnDisk;
                Count(ref wasOnDisk ? ref _counters.DiskHits : ref _counters.HostHits, isUse && isOpen);
                return isOpen;
            }

            if (!block.IsClaimed && !block.IsInRam && !block.IsOnDisk)
            {
                return false;
            }

            // Somebody judges whether it may leave: an instant.
            wait.SpinOnce();
        }
    }

    /// <summary>Whether an open block is good enough for its reader; closes it if not.</summary>
    private bool IsWanted(Block block, bool losslessOnly)
    {
        if (!losslessOnly || block.Loss is null)
        {
            return true;
        }

        new BlockRead(this, block, mustVerify: false).Dispose();
        return false;
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

    private bool TryLease(Block block, long heldBytes, ConnectionLeases leases, TimeSpan lease, out long until)
    {
        until = leases.Grant(block, heldBytes, lease < _options.MaxExistenceLease ? lease : _options.MaxExistenceLease);
        WaitUntilDecided(block);
        if (until != 0 && block.TryOpen())
        {
            using var read = new BlockRead(this, block, mustVerify: false);
            block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor).LeaseUntil = until;
        }
        else if (until != 0 && block.IsOnDisk)
        {
            block.Tenant.Host.NoteDiskLease(until);
        }

        Volatile.Read(ref block.Encoded)?.Annotate(block);

        return !block.IsDead;
    }

    /// <summary>Somebody may be judging whether the block, which has no other copy as good, leaves: an instant.</summary>
    private static void WaitUntilDecided(Block block)
    {
        var wait = new SpinWait();
        while (block.IsClaimed && (!block.IsOnDisk || block.LossyBelow is not null) && !block.IsDead)
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
}
