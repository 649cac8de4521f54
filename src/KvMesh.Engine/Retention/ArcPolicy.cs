namespace KvMesh.Engine.Retention;

/// <summary>
/// ARC (Megiddo and Modha, FAST 2003): blocks used once and blocks used more often in two queues by recency, whose shares move to where blocks that left
/// are asked for again. The capacity is what is here when room is needed. For comparison.
/// </summary>
public sealed class ArcPolicy<T>() : QueuedPolicy<T>(queues: 2)
    where T : Retained<T>
{
    private readonly GhostList _leftOnce = new();
    private readonly GhostList _leftOften = new();

    /// <summary>Blocks used once that the policy wants to keep; between 0 and all.</summary>
    private double _wantedOnce;

    private RetentionQueue<T> Once => Queue(0);

    private RetentionQueue<T> Often => Queue(1);

    private protected override RetentionQueue<T> QueueInUse(int number) => Often;

    private protected override void Place(T block, long request, bool lowInterest)
    {
        if (lowInterest)
        {
            Once.InsertOldest(block);
            return;
        }

        // The ratio is that of the lists as the miss found them.
        var (once, often) = (_leftOnce.Count, _leftOften.Count);
        var queue = Often;
        if (_leftOnce.Remove(block.Fingerprint))
        {
            _wantedOnce = Math.Min(Count, _wantedOnce + Math.Max(1, (double)often / once));
        }
        else if (_leftOften.Remove(block.Fingerprint))
        {
            _wantedOnce = Math.Max(0, _wantedOnce - Math.Max(1, (double)once / often));
        }
        else
        {
            queue = Once;
        }

        InsertBeforeParent(queue, block, request);
    }

    private protected override void Use(T block, long usedBefore) => MoveToNewest(block, Often);

    private protected override T? Candidate() => (Once.Count > 0 && (Once.Count > _wantedOnce || Often.Count == 0) ? Once : Often).Oldest;

    private protected override void Chosen(T block)
    {
        (block.Queue == Once.Number ? _leftOnce : _leftOften).Add(block.Fingerprint);
        _leftOnce.Trim(Math.Max(0, Count - Once.Count));
        _leftOften.Trim(Math.Max(0, Count - _leftOnce.Count));
    }
}
