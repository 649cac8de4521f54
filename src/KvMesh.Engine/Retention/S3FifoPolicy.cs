namespace KvMesh.Engine.Retention;

/// <summary>
/// S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): new blocks wait in a small queue, those that are used there go to
/// a main queue, where a used block goes round once more for each use, and those that left the small one are remembered: who comes back soon goes to the main one.
/// For comparison.
/// </summary>
public sealed class S3FifoPolicy<T>() : QueuedPolicy<T>(queues: 2)
    where T : Retained<T>
{
    /// <summary>One in so many blocks is in the small queue, as in the paper.</summary>
    private const int SmallShare = 10;

    /// <summary>Uses that count, as in the paper.</summary>
    private const int MaxUses = 3;

    private readonly GhostList _ghosts = new();

    private protected override int StepsPerBlock => MaxUses + 2;

    private RetentionQueue<T> Small => Queue(0);

    private RetentionQueue<T> Main => Queue(1);

    private protected override RetentionQueue<T> QueueInUse(int number) => Main;

    private protected override void Place(T block, long request, bool lowInterest)
    {
        if (lowInterest)
        {
            Small.InsertOldest(block);
        }
        else
        {
            InsertBeforeParent(_ghosts.Remove(block.Fingerprint) ? Main : Small, block, request);
        }
    }

    private protected override void Use(T block, long usedBefore) => block.Uses = Math.Min(block.Uses + 1, MaxUses);

    private protected override T? Candidate()
    {
        var fromSmall = Small.Count > 0 && (Main.Count == 0 || Small.Count >= Math.Max(1, Count / SmallShare));
        var candidate = (fromSmall ? Small : Main).Oldest;
        if (candidate is null || candidate.Uses <= (fromSmall ? 1 : 0))
        {
            return candidate;
        }

        candidate.Uses = fromSmall ? 0 : candidate.Uses - 1;
        MoveToNewest(candidate, Main);
        return null;
    }

    private protected override void Chosen(T block)
    {
        if (block.Queue == Small.Number)
        {
            _ghosts.Add(block.Fingerprint);
            _ghosts.Trim(Main.Count);
        }
    }
}
