using KvMesh.Engine.Leases;

namespace KvMesh.Engine.Blocks;

/// <summary>Leases and pins of blocks in whose place better copies come.</summary>
internal sealed partial class BlockRegistry
{
    private HoldLedger? _holds;

    /// <summary>Once, before the first block: what pins keep, so that a better copy of a block keeps it too.</summary>
    public void UseHolds(HoldLedger holds) => _holds = holds;

    /// <summary>
    /// What was promised of a block is promised of the one in its place. Before that one is seen, for readers and for the next process; and once more
    /// when the first is dead: whoever promises writes the promise and looks whether the block is dead then, so one of the two sees the other.
    /// </summary>
    /// <returns>Whether there was anything that the other block did not have.</returns>
    private bool PassPromises(Block from, Block to)
    {
        var leaseUntil = Volatile.Read(ref from.LeaseUntil);
        var hasMore = false;
        while (Volatile.Read(ref to.LeaseUntil) is var present && present < leaseUntil)
        {
            // Once it is in the index others promise it too.
            hasMore |= Interlocked.CompareExchange(ref to.LeaseUntil, leaseUntil, present) == present;
        }

        return (Volatile.Read(ref from.HeldUntil) != 0 && _holds?.Pass(from, to) == true) || hasMore;
    }

    /// <summary>The next process finds a promise that came when the block's descriptor had been written.</summary>
    private static void NotePromise(Block block)
    {
        ref var descriptor = ref block.Tenant.Host.Arena.Descriptor(block.Extent.Descriptor);
        descriptor.LeaseUntil = Math.Max(descriptor.LeaseUntil, Math.Max(Volatile.Read(ref block.LeaseUntil), Volatile.Read(ref block.HeldUntil)));
    }
}
