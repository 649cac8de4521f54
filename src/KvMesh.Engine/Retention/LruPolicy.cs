namespace KvMesh.Engine.Retention;

/// <summary>
/// Least recently used by request, tail first: within one request a block counts as used just before its parent, so a chain
/// is given up from its end and what is left is always a prefix.
/// </summary>
public sealed class LruPolicy<T>() : QueuedPolicy<T>(queues: 1)
    where T : Retained<T>
{
    private RetentionQueue<T> Blocks => Queue(0);

    private protected override void Place(T block, long request, bool lowInterest)
    {
        if (lowInterest)
        {
            Blocks.InsertOldest(block);
            return;
        }

        if (block.Parent is not { IsRetained: true } parent)
        {
            Blocks.InsertNewest(block);
            return;
        }

        if (request - parent.LastUse > SameRequestTicks)
        {
            MoveChainToNewest(parent, request);
        }

        Blocks.InsertOlderThan(parent, block);
    }

    private protected override void Use(T block, long usedBefore) => MoveToNewest(block, Blocks);

    private protected override T? Candidate() => Blocks.Oldest;
}
