namespace KvMesh.Engine.Retention;

/// <summary>
/// W-TinyLFU (Einziger, Friedman and Manes, ACM TOS 2017): new blocks pass a small window by recency; who leaves it stays only if a sketch says that it was
/// asked for more often than the one that would leave instead. The others lie on probation until they are used, then protected. For comparison.
/// </summary>
public sealed class WTinyLfuPolicy<T>() : QueuedPolicy<T>(queues: 3)
    where T : Retained<T>
{
    /// <summary>One in so many blocks is in the window, and of the others so many percent are protected at most: as in the paper.</summary>
    private const int WindowShare = 100;
    private const int ProtectedPercent = 80;

    private readonly FrequencySketch _frequencies = new();

    // A candidate that wins against another moves, and is met again on probation.
    private protected override int StepsPerBlock => 3;

    private RetentionQueue<T> Window => Queue(0);

    private RetentionQueue<T> Probation => Queue(1);

    private RetentionQueue<T> Protected => Queue(2);

    private protected override RetentionQueue<T> QueueInUse(int number) => number == Window.Number ? Probation : Queue(number);

    private protected override void Place(T block, long request, bool lowInterest)
    {
        _frequencies.Add(block.Fingerprint, Count);
        if (lowInterest)
        {
            Window.InsertOldest(block);
        }
        else
        {
            InsertBeforeParent(Window, block, request);
        }
    }

    private protected override void Use(T block, long usedBefore)
    {
        _frequencies.Add(block.Fingerprint, Count);
        if (block.Queue == Window.Number)
        {
            MoveToNewest(block, Window);
            return;
        }

        MoveToNewest(block, Protected);
        while (Protected.Count > (long)(Protected.Count + Probation.Count) * ProtectedPercent / 100 && Protected.Oldest is { } oldest)
        {
            MoveToNewest(oldest, Probation);
        }
    }

    private protected override T? Candidate()
    {
        var wanted = Math.Max(1, Count / WindowShare);
        var leavesMain = Probation.Oldest ?? Protected.Oldest;
        if (leavesMain is null || Window.Count <= wanted)
        {
            // Nothing but a window yet: it filled before anything had to leave.
            while (leavesMain is null && Window.Count > wanted && Window.Oldest is { } early)
            {
                MoveToNewest(early, Probation);
            }

            return leavesMain ?? Probation.Oldest ?? Window.Oldest;
        }

        var candidate = Window.Oldest!;
        if (_frequencies.Estimate(candidate.Fingerprint) <= _frequencies.Estimate(leavesMain.Fingerprint))
        {
            return candidate;
        }

        MoveToNewest(candidate, Probation);
        return leavesMain;
    }
}
