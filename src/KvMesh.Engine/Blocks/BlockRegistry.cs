using KvMesh.Engine.Disk;
using KvMesh.Engine.Events;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// Which blocks exist: index, chains and pairs, kept in step, and the news of every change. A block comes in by
/// <see cref="Publish"/> and goes out by <see cref="Remove(Block, BlockEventKind)"/>, whatever the reason.
/// </summary>
internal sealed partial class BlockRegistry(BlockIndex index, BlockEventLog events, DigestSecret secret, TimeProvider time)
{
    private readonly PairLedger _pairs = new();
    private DiskTier? _disk;

    public BlockIndex Index => index;

    /// <summary>Once, before the first block: where copies below RAM are given back.</summary>
    public void UseDisk(DiskTier disk) => _disk = disk;

    public KeyDigest DigestOf(Tenant tenant, ReadOnlySpan<byte> key) => KeyDigest.Compute(secret, tenant.DigestId, key);

    /// <summary>Returns once whoever seals this key now has ended: what comes later sees what the caller has set before.</summary>
    public void AwaitSeal(KeyDigest digest)
    {
        lock (index.StripeOf(digest))
        {
        }
    }

    /// <summary>The block that stands in the index under a digest, whoever's it is, visible or not.</summary>
    public Block? FindByDigest(KeyDigest digest) => index.Find(digest);

    /// <summary>The block of that key that a client may see now, or null.</summary>
    public Block? Find(Tenant tenant, ReadOnlySpan<byte> key)
    {
        var digest = DigestOf(tenant, key);
        while (index.Find(digest, tenant, key) is { } block)
        {
            if (IsVisible(block))
            {
                return block;
            }

            if (!block.IsDead)
            {
                return null;
            }

            // It left the index before it died: what took its place, if anything did, is found now.
        }

        return null;
    }

    /// <summary>Whether a client may see the block: not purged, not expired, and not half of an incomplete pair.</summary>
    public bool IsVisible(Block block) => !block.IsDead && !block.Scope.IsPurged && !IsExpired(block) && IsPairComplete(block);

    /// <summary>Before a block that ends by itself can be seen, or right after it was given an end.</summary>
    public static void NoteExpiry(Block block)
    {
        if (block.IsContent && Volatile.Read(ref block.ExpiresAt) != 0)
        {
            block.Tenant.Chains.NoteExpiring();
        }
    }

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
        NoteExpiry(block);
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

    /// <summary>Joins a block of content to its parent that came without it, from a node that did not have that one.</summary>
    public void LinkLate(Block block, ReadOnlySpan<byte> parent)
    {
        if (!parent.IsEmpty && block is { IsContent: true, IsCompanion: false, Chain: null or { Parent: null } })
        {
            block.Tenant.Chains.Attach(block, DigestOf(block.Tenant, parent));
        }
    }

    /// <summary>Takes the block of a key that a client may see now out of every tier. False when there is none.</summary>
    public bool Remove(Tenant tenant, ReadOnlySpan<byte> key, BlockEventKind news)
    {
        while (Find(tenant, key) is { } block)
        {
            if (Remove(block, news))
            {
                return true;
            }

            // Somebody else removed it, or put another in its place, which is the one to remove then.
        }

        return false;
    }

    /// <summary>Takes a block out of every tier. False when somebody else already has.</summary>
    public bool Remove(Block block, BlockEventKind news)
    {
        lock (index.StripeOf(block.Digest))
        {
            if (block.IsDead)
            {
                return false;
            }

            RetractNeedsLock(block);
            if (!index.RemoveNeedsLock(block))
            {
                return false;
            }

            block.Kill();
        }

        Bury(block, news);
        return true;
    }

    /// <summary>Gives a block that was read from below its extent and a descriptor, unless it has gone meanwhile: then false. The caller has the claim.</summary>
    public bool TryPlace(Block block, in Extent extent, Action<Block> publishDescriptor)
    {
        lock (index.StripeOf(block.Digest))
        {
            if (block.IsDead)
            {
                return false;
            }

            block.Extent = extent;
            publishDescriptor(block);
            return true;
        }
    }

    /// <summary>
    /// Takes the extent and the descriptor of a block that goes on encoded, or below RAM; the extent is the caller's, who has the claim, to give
    /// back. A block whose copy there has lost something is that copy from here on.
    /// </summary>
    public Extent Displace(Block block)
    {
        lock (index.StripeOf(block.Digest))
        {
            var extent = block.Extent;
            block.Tenant.Host.Descriptors.Withdraw(extent.Descriptor);
            block.Extent = default;
            BecomeWhatIsLeftNeedsLock(block);
            return extent;
        }
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

    /// <summary>
    /// A record of the block may be on its way to disk, and says what does not hold any more: the block has died, or ends earlier. The process
    /// may end when it has arrived and before its writer finds that out, and the next one would take it for the present state: its end is on
    /// record before anybody is told of the change.
    /// </summary>
    public void DisownWrite(Block block)
    {
        if (Volatile.Read(ref block.WritingSequence) is not 0 and var sequence)
        {
            _disk!.Disown(sequence);
            if (Volatile.Read(ref block.WritingSequence) != sequence)
            {
                // The writer was done, and the place of the record is known by now.
                _disk.EndWrite(sequence);
            }
        }
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

            if (Refusal(block, present, isPresent, options) is { } refusal)
            {
                status = refusal;
                return true;
            }

            block.ExpiresAt = options.KeepExpiry && isPresent ? present!.ExpiresAt : options.ExpiresAt;
            NoteExpiry(block);
            var improved = isPresent && Improves(block, present!) ? present : null;
            if (improved is not null)
            {
                // A promise to keep the block, and the other half of its pair, are the better copy's now; the next process finds the promise too.
                PassPromises(improved, block);
                _pairs.Inherit(improved, block);
                if (improved.IsLosslessOnly)
                {
                    block.KeepLossless_NeedsLock();
                }
            }

            beforeVisible(block);
            if (improved is { IsLosslessOnly: true })
            {
                block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor).Marks = BlockMarks.LosslessOnly;
            }

            if (present is null)
            {
                index.AddNeedsLock(block);
            }
            else
            {
                // What the next process finds changes before what readers find does, and readers find one of the two at any moment.
                RetractNeedsLock(present);
                index.ReplaceNeedsLock(present, block);
                present.Kill();
                replaced = present;
                if (improved is not null && PassPromises(improved, block))
                {
                    NotePromise(block);
                }
            }
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

    private SealStatus? Refusal(Block block, Block? present, bool isPresent, in SealOptions options) => (isPresent, options.Condition) switch
    {
        (true, _) when block.IsContent && !Improves(block, present!) => SealStatus.AlreadyPresent,
        (true, SealCondition.IfAbsent) when !block.IsContent => SealStatus.ConditionFailed,
        (false, SealCondition.IfPresent) => SealStatus.ConditionFailed,
        _ when present is null && index.IsFull => SealStatus.Full,
        _ when options.Unless is { } isUnwanted && isUnwanted() => SealStatus.ConditionFailed,
        _ => null,
    };

    /// <summary>Whether a block of content is exact and the one that is here is not, or may not stay so as long: it takes its place then.</summary>
    private static bool Improves(Block block, Block present) =>
        block is { IsContent: true, Loss: null } && present.IsContent && (present.Loss is not null || (block.IsLosslessOnly && !present.IsLosslessOnly));

    private static bool IsPairComplete(Block block) => !block.IsCompanion || Volatile.Read(ref block.Companion) is { IsDead: false };

    /// <summary>
    /// A block that is about to be acknowledged as gone may not come back with the next process, though readers may keep its extent for long.
    /// A block gets and loses its extent under this lock only, so that the descriptor is still its own.
    /// </summary>
    private static void RetractNeedsLock(Block block)
    {
        if (!block.Extent.IsNone)
        {
            block.Tenant.Host.Descriptors.Retract(block.Extent.Descriptor);
        }

        if (block.Encoded is { } copy)
        {
            block.Tenant.Host.Descriptors.Retract(copy.Extent.Descriptor);
        }
    }

    /// <summary>The last rites of a block that has left the index and is dead: its links, its copies, its extent once nobody reads it.</summary>
    private void Bury(Block block, BlockEventKind? news)
    {
        block.Tenant.Host.Forget(block);
        block.Tenant.Chains.Detach(block);
        DisownWrite(block);
        if (block.IsOnDisk)
        {
            _disk?.Release(block.Disk, durable: true);
        }

        if (block.TryTakeExtentOfDead())
        {
            block.Tenant.Host.Free(block.Tenant, block.Extent, wasPublished: true);
        }

        Interlocked.Exchange(ref block.Encoded, null)?.Close();
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
