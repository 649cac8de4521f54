using KvMesh.Engine.Coding;

namespace KvMesh.Engine.Blocks;

/// <summary>Copies of blocks that lie encoded in RAM.</summary>
internal sealed partial class BlockRegistry
{
    /// <summary>
    /// Gives a block an encoded copy, for readers and for the next process, unless it has one or has gone meanwhile: then false, and the copy is the
    /// caller's. The caller holds the block open or has the claim, so that its bytes are those that were encoded.
    /// </summary>
    public bool TryPlaceEncoded(Block block, EncodedCopy copy)
    {
        lock (index.StripeOf(block.Digest))
        {
            if (block.IsDead || block.Encoded is not null || (copy.Loss is not null && block is { Loss: null, IsLosslessOnly: true }))
            {
                // The last was not so yet when it was encoded.
                return false;
            }

            var host = block.Tenant.Host;
            host.Own(block, copy.Extent);
            host.Descriptors.PublishEncoded(copy.Extent.Descriptor, copy.DescriptorOf(block));
            Volatile.Write(ref block.Encoded, copy);
        }

        // Whoever changes what the descriptor says of the block changes the block first and looks for a copy then.
        copy.Annotate(block);
        return true;
    }

    /// <summary>From now on no copy of the block may lose anything. False: that is so already, or it is gone.</summary>
    public bool TryKeepLossless(Block block)
    {
        lock (index.StripeOf(block.Digest))
        {
            if (block.IsDead || block.IsLosslessOnly)
            {
                return false;
            }

            block.KeepLossless_NeedsLock();
            return true;
        }
    }

    /// <summary>Takes the encoded copy from a block, or that one if it still has it. The block's hold on it is the caller's to end; null: there was none.</summary>
    public EncodedCopy? TakeEncoded(Block block, EncodedCopy? expected = null)
    {
        lock (index.StripeOf(block.Digest))
        {
            var copy = Volatile.Read(ref block.Encoded);
            if (copy is null || (expected is not null && copy != expected) || Interlocked.CompareExchange(ref block.Encoded, null, copy) != copy)
            {
                return null;
            }

            block.Tenant.Host.Descriptors.Retract(copy.Extent.Descriptor);
            BecomeWhatIsLeftNeedsLock(block);
            return copy;
        }
    }

    /// <summary>
    /// A block without an extent of its own is what its encoded copy decodes to, or else its copy on disk: what that has lost, it has. Whoever leaves
    /// it so has seen that these two are not at odds.
    /// </summary>
    private static void BecomeWhatIsLeftNeedsLock(Block block)
    {
        if (!block.Extent.IsNone || block.Loss is not null)
        {
            return;
        }

        if (Volatile.Read(ref block.Encoded) is { } copy)
        {
            if (copy.Loss is { } loss)
            {
                BecomeLossyNeedsLock(block, new LossyCopy(copy.Index.BlockTableChecksum, loss));
            }
        }
        else if (block.LossyBelow is { } below && block.IsOnDisk)
        {
            BecomeLossyNeedsLock(block, below);
        }
    }

    /// <summary>The loss first: whoever finds the checksum of a lossy copy finds its loss as well.</summary>
    private static void BecomeLossyNeedsLock(Block block, LossyCopy copy)
    {
        block.Loss = copy.Loss;
        Volatile.Write(ref block.TableChecksum, copy.TableChecksum);
        block.LossyBelow = null;
    }
}
