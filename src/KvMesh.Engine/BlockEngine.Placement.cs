using KvMesh.Engine.Blocks;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Arena;

namespace KvMesh.Engine;

/// <summary>What placement asks of a node: who follows whom, blocks that pins keep, blocks that a node which leaves gives away.</summary>
public sealed partial class BlockEngine
{
    /// <summary>
    /// Adds the keys of the chain that ends with a block, in order, as far back as it is here and known who follows whom; at most the last
    /// <paramref name="most"/>. Nothing when the block is not here. Companions follow each other as their blocks do, and count with them.
    /// </summary>
    /// <returns>Payload bytes of these blocks.</returns>
    public long ListChain(Tenant tenant, ReadOnlySpan<byte> tail, int most, List<ReadOnlyMemory<byte>> keys)
    {
        ArgumentNullException.ThrowIfNull(keys);
        var bytes = 0L;
        var start = keys.Count;
        var last = _registry.Find(tenant, tail);
        var isOfCompanions = last?.IsCompanion == true;
        for (var block = last is null ? null : MainOf(last); block is not null && keys.Count - start < most; block = block.Parent)
        {
            var named = isOfCompanions ? block == MainOf(last!) ? last : Volatile.Read(ref block.Companion) : block;
            if (named is null)
            {
                break;
            }

            keys.Add(named.KeyBytes.ToMemory());
            bytes += FetchBytesOf(named);
        }

        keys.Reverse(start, keys.Count - start);
        return bytes;
    }

    /// <summary>
    /// From now on no copy of these blocks may lose anything here, and those that go elsewhere say so too: for what refers to them from outside. Goes from the
    /// end of a chain back, as far as its blocks are here one after the other. Copies that have lost something beside an exact one are given up; a block that has lost something
    /// already stays as it is.
    /// </summary>
    /// <param name="most">Blocks to look at.</param>
    /// <returns>Blocks for which that is new.</returns>
    public int KeepLossless(Tenant tenant, ReadOnlySpan<byte> tail, int most)
    {
        var marked = 0;
        for (var block = _registry.Find(tenant, tail) is { IsContent: true } last ? MainOf(last) : null; block is not null && most > 0; block = block.Parent, most--)
        {
            marked += KeepLossless(block) ? 1 : 0;
        }

        return marked;
    }

    /// <summary>
    /// Whoever had this chain does not come back: its blocks leave RAM before others, from the end of the chain back to the first block that another chain goes
    /// through as well. One that is used again is as good as any; one that is in use or promised stays as long as that lasts.
    /// </summary>
    /// <param name="most">Blocks to look at.</param>
    /// <returns>Blocks that leave first.</returns>
    public int Yield(Tenant tenant, ReadOnlySpan<byte> tail, int most)
    {
        var ended = new List<Block>();
        var block = _registry.Find(tenant, tail) is { IsContent: true, HasChildren: false } last ? MainOf(last) : null;
        for (; block is not null && most > 0 && block.Chain is null or { Children: <= 1 }; block = block.Parent, most--)
        {
            ended.Add(block);
        }

        tenant.Host.Yield(ended);
        return ended.Count;
    }

    /// <summary>
    /// Reads a block back, compares it with its checksums, and keeps it for a time: it is not evicted while that runs, though it can be removed, purged
    /// and expire. A block that is held already is not read again. A copy that has lost something is none of a block that may not.
    /// </summary>
    public HoldStatus TryHold(Tenant tenant, ReadOnlySpan<byte> key, TimeSpan duration)
    {
        var now = Now();
        var until = now + (long)duration.TotalMilliseconds;
        while (_registry.Find(tenant, key) is { } block && block is not { IsLosslessOnly: true, Loss: not null })
        {
            var wasHeld = Volatile.Read(ref block.HeldUntil) > now;
            if (!_host.Holds.TryHold(block, until) || (MainOf(block) is var main && main != block && !_host.Holds.TryHold(main, until)))
            {
                return HoldStatus.Full;
            }

            // Somebody may have judged before the hold was written: after the verdict the block is gone or stays.
            WaitUntilDecided(block);
            if (!block.IsDead && (wasHeld || IsWhole(tenant, key)) && !block.IsDead)
            {
                NoteHold(block, until);
                return HoldStatus.Held;
            }

            _host.Holds.Release(block);
            if (!block.IsDead)
            {
                return HoldStatus.Missing;
            }

            // Replaced meanwhile, perhaps: then its successor is the one to hold.
        }

        return HoldStatus.Missing;
    }

    /// <summary>Ends a hold before its time. What is under a lease besides stays as long as that.</summary>
    public void Release(Tenant tenant, ReadOnlySpan<byte> key)
    {
        if (_registry.Find(tenant, key) is not { } block)
        {
            return;
        }

        _host.Holds.Release(block);
        if (MainOf(block) is var main && main != block)
        {
            _host.Holds.Release(main);
        }

        NoteRelease(block);
    }

    /// <summary>
    /// Offers blocks of RAM that were used since they were written to tiers that all nodes share, most valuable first, for a node that leaves. Blocks for
    /// <paramref name="limit"/> at most.
    /// </summary>
    public void OfferLeaving(TimeSpan limit) => _host.Offers?.OfferAll(_host.Hosts, _time, limit);

    internal static long FetchBytesOf(Block block) => block.PayloadBytes + (MainOf(block) is var main && main != block ? main.PayloadBytes : 0);

    /// <summary>First the mark, then the look for lossy copies: whoever adds one looks at the mark afterwards.</summary>
    private bool KeepLossless(Block block)
    {
        while (!_registry.TryKeepLossless(block))
        {
            // Replaced at this moment, perhaps: then its successor is the one to mark.
            if (!block.IsDead || _registry.Find(block.Tenant, block.Key) is not { } successor)
            {
                return false;
            }

            block = successor;
        }

        WaitUntilDecided(block);
        if (block.TryOpen())
        {
            using var read = new BlockRead(this, block, mustVerify: false);
            block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor).Marks = BlockMarks.LosslessOnly;
            if (block.Loss is null)
            {
                _host.GiveUpLossyCopy(block);
                if (Volatile.Read(ref block.Encoded) is { Loss: not null } copy)
                {
                    _registry.TakeEncoded(block, copy)?.Close();
                    HostTier.NoteRaw(block);
                }
            }
        }

        Volatile.Read(ref block.Encoded)?.Annotate(block);
        return true;
    }

    private bool IsWhole(Tenant tenant, ReadOnlySpan<byte> key)
    {
        if (!TryRead(tenant, key, ReadIntent.Inspect, out var read))
        {
            return false;
        }

        using (read)
        {
            return read.Verify();
        }
    }

    /// <summary>The next process on this arena keeps what clients were promised, and no more.</summary>
    private static void NoteRelease(Block block)
    {
        if (block.TryOpen())
        {
            using var read = new BlockRead(null!, block, mustVerify: false);
            ref var descriptor = ref block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor);
            long leased;
            do
            {
                // A lease that is given meanwhile writes the block first and the descriptor then.
                leased = Volatile.Read(ref block.LeaseUntil);
                Volatile.Write(ref descriptor.LeaseUntil, leased);
            }
            while (Volatile.Read(ref block.LeaseUntil) != leased);
        }

        Volatile.Read(ref block.Encoded)?.Annotate(block);
    }

    /// <summary>The next process on this arena keeps the promise too.</summary>
    private static void NoteHold(Block block, long until)
    {
        if (block.TryOpen())
        {
            using var read = new BlockRead(null!, block, mustVerify: false);
            ref var descriptor = ref block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor);
            descriptor.LeaseUntil = Math.Max(descriptor.LeaseUntil, until);
        }

        Volatile.Read(ref block.Encoded)?.Annotate(block);
    }
}
