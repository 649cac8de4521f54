using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// Which blocks exist: index, chains and pairs, kept in step, and the news of every change. A block comes in by
/// <see cref="Publish"/> and goes out by <see cref="Remove"/>, whatever the reason.
/// </summary>
internal sealed class BlockRegistry(BlockIndex index, BlockEventLog events, DigestSecret secret, TimeProvider time)
{
    private readonly PairLedger _pairs = new();
    private DiskTier? _disk;

    public BlockIndex Index => index;

    /// <summary>Once, before the first block: where copies below RAM are given back.</summary>
    public void UseDisk(DiskTier disk) => _disk = disk;

    public KeyDigest DigestOf(Tenant tenant, ReadOnlySpan<byte> key) => KeyDigest.Compute(secret, tenant.DigestId, key);

    /// <summary>The block that stands in the index under a digest, whoever's it is, visible or not.</summary>
    public Block? FindByDigest(KeyDigest digest) => index.Find(digest);

    /// <summary>The block of that key that a client may see now, or null.</summary>
    public Block? Find(Tenant tenant, ReadOnlySpan<byte> key)
    {
        var block = index.Find(DigestOf(tenant, key), tenant, key);
        return block is not null && IsVisible(block) ? block : null;
    }

    /// <summary>Whether a client may see the block: not purged, not expired, and not half of an incomplete pair.</summary>
    public bool IsVisible(Block block) => !block.IsDead && !block.Scope.IsPurged && !IsExpired(block) && IsPairComplete(block);

    public bool IsExpired(Block block) =>
        Volatile.Read(ref block.ExpiresAt) is var at && at != 0 && at <= time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>
    /// Makes a block visible, if the conditions hold. The caller has filled payload and table; <paramref name="beforeVisible"/>
    /// publishes the descriptor once nothing can refuse the block any more.
    /// </summary>
    public SealStatus Publish(Block block, in SealOptions options, Action<Block> beforeVisible)
    {
        TryPublish(block, options, beforeVisible, expected: null, isAnyExpected: true, out var status);
        return status;
    }

    /// <summary>As <see cref="Publish"/>, but does nothing and returns false unless what is there now is <paramref name="expected"/>.</summary>
    public bool TryPublishOver(Block? expected, Block block, in SealOptions options, Action<Block> beforeVisible, out SealStatus status) =>
        TryPublish(block, options, beforeVisible, expected, isAnyExpected: false, out status);

    /// <summary>Puts a block of an earlier process in, without news. False when the key is there already.</summary>
    public bool Restore(Block block)
    {
        lock (index.StripeOf(block.Digest))
        {
            if (index.IsFull || index.Find(block.Digest, block.Tenant, block.Key) is not null)
            {
                return false;
            }

            index.AddNeedsLock(block);
            return true;
        }
    }

    /// <summary>Joins a block to its parent, or to its other half, by the digest that was stored with it.</summary>
    public void Link(Block block)
    {
        if (block.IsCompanion)
        {
            _pairs.AddCompanion(block, FindByDigest);
            return;
        }

        if (_pairs.AddMain(block) is { } companion)
        {
            companion.Tenant.Host.Forget(companion);
        }

        block.Tenant.Chains.Attach(block, block.HasParent ? block.Related : null);
    }

    /// <summary>Takes a block out of every tier. False when somebody else already has.</summary>
    public bool Remove(Block block, BlockEventKind news)
    {
        lock (index.StripeOf(block.Digest))
        {
            if (!index.RemoveNeedsLock(block))
            {
                return false;
            }
        }

        Bury(block, news);
        return true;
    }

    /// <summary>
    /// Takes back what was purged and is in this arena, last descriptor first: free lists of extents and descriptors end up in the order
    /// of addresses, so that what is written next walks memory instead of jumping about in it. One thread.
    /// </summary>
    public void SweepPurged(HostTier host)
    {
        for (var descriptor = host.Descriptors.HighWater - 1; descriptor >= 0; descriptor--)
        {
            if (host.OwnerOf(descriptor) is { Scope.IsPurged: true } block)
            {
                Remove(block, BlockEventKind.Removed);
            }
        }
    }

    /// <summary>Takes back what was purged or has expired. One pass over the index; one thread.</summary>
    public void Sweep()
    {
        for (var bucket = 0; bucket < index.BucketCount; bucket++)
        {
            for (var block = index.Bucket(bucket); block is not null; block = Volatile.Read(ref block.Next))
            {
                if (block.Scope.IsPurged || IsExpired(block))
                {
                    Remove(block, BlockEventKind.Removed);
                }
            }
        }
    }

    public void NoteDemoted(Block block)
    {
        _disk?.MarkRedundant(block.Disk, redundant: false);
        events.Append(BlockEventKind.Demoted, block);
    }

    public void NotePromoted(Block block)
    {
        _disk?.MarkRedundant(block.Disk, redundant: true);
        events.Append(BlockEventKind.Promoted, block);
    }

    private bool TryPublish(
        Block block, in SealOptions options, Action<Block> beforeVisible, Block? expected, bool isAnyExpected, out SealStatus status)
    {
        Block? replaced = null;
        lock (index.StripeOf(block.Digest))
        {
            var present = index.Find(block.Digest, block.Tenant, block.Key);
            var isPresent = present is not null && IsVisible(present);
            status = SealStatus.Sealed;
            if (!isAnyExpected && !ReferenceEquals(isPresent ? present : null, expected))
            {
                return false;
            }

            if (Refusal(block, isPresent, present is null, options) is { } refusal)
            {
                status = refusal;
                return true;
            }

            block.ExpiresAt = options.KeepExpiry && isPresent ? present!.ExpiresAt : options.ExpiresAt;
            if (present is not null)
            {
                index.RemoveNeedsLock(present);
                replaced = present;
            }

            beforeVisible(block);
            index.AddNeedsLock(block);
        }

        if (replaced is not null)
        {
            // A value that takes the place of content is news of the content too: it is not here any more.
            Bury(replaced, replaced.IsContent && !block.IsContent ? BlockEventKind.Removed : null);
        }

        Link(block);
        events.Append(BlockEventKind.Stored, block);
        return true;
    }

    private SealStatus? Refusal(Block block, bool isPresent, bool isNew, in SealOptions options) => (isPresent, options.Condition) switch
    {
        (true, _) when block.IsContent => SealStatus.AlreadyPresent,
        (true, SealCondition.IfAbsent) or (false, SealCondition.IfPresent) => SealStatus.ConditionFailed,
        _ when isNew && index.IsFull => SealStatus.Full,
        _ => null,
    };

    private static bool IsPairComplete(Block block) => !block.IsCompanion || Volatile.Read(ref block.Companion) is { IsDead: false };

    /// <summary>The last rites of a block that has left the index: its links, its copies, its extent once nobody reads it.</summary>
    private void Bury(Block block, BlockEventKind? news)
    {
        if (!block.TryKill())
        {
            return;
        }

        block.Tenant.Host.Forget(block);
        block.Tenant.Chains.Detach(block);
        if (block.IsOnDisk)
        {
            _disk?.Release(block.Disk, durable: true);
        }

        if (block.TryTakeExtentOfDead())
        {
            block.Tenant.Host.Free(block.Tenant, block.Extent, wasPublished: true);
        }

        if (news is { } kind)
        {
            events.Append(kind, block);
        }

        if (_pairs.Part(block) is { } other)
        {
            Remove(other, BlockEventKind.Removed);
        }
    }
}
