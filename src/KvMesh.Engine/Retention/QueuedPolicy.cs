namespace KvMesh.Engine.Retention;

/// <summary>
/// What policies have in common that keep their blocks in a few queues: a chain lies in its queue from its end on, who is refused finds its place again,
/// and the orders of all queues together are the order of leaving.
/// </summary>
public abstract class QueuedPolicy<T> : IRetentionPolicy<T>
    where T : Retained<T>
{
    /// <summary>
    /// A parent used longer ago than this is of an earlier request: its own use may still wait in the touch buffer, or
    /// have been left out under a lease. Short beside the time between requests, long beside that between two puts of one.
    /// </summary>
    private protected const long SameRequestTicks = 10 * TimeSpan.TicksPerMillisecond;

    /// <summary>Children looked at to place their parent.</summary>
    private const int MaxChildren = 8;

    private readonly RetentionQueue<T>[] _queues;

    private protected QueuedPolicy(int queues) => _queues = [.. Enumerable.Range(0, queues).Select(number => new RetentionQueue<T>(number))];

    /// <summary>Blocks in all queues.</summary>
    public int Count { get; private set; }

    public void Add(T block, long request, bool lowInterest)
    {
        block.IsRetained = true;
        block.Uses = 0;
        block.LastUse = block.AddedAt = request;
        Count++;
        Place(block, request, lowInterest);
    }

    public void Touch(T block, long request)
    {
        if (block.IsRetained)
        {
            var usedBefore = block.LastUse;
            block.LastUse = request;
            Use(block, usedBefore);
        }
    }

    public void Yield(T block)
    {
        if (block.IsRetained)
        {
            block.Uses = 0;
            _queues[block.Queue].Remove(block);
            FirstToLeave.InsertOldest(block);
        }
    }

    public void Remove(T block)
    {
        if (block.IsRetained)
        {
            Leave(block);
            _queues[block.Queue].Remove(block);
            block.IsRetained = false;
            Count--;
        }
    }

    public T? NextVictim(Func<T, VictimVerdict> judge)
    {
        // Who is refused or spared goes to a newer place, so a bounded number of steps meets everybody.
        for (var left = (long)Count * StepsPerBlock; left > 0; left--)
        {
            if (Candidate() is not { } candidate)
            {
                continue;
            }

            switch (judge(candidate))
            {
                case VictimVerdict.Take:
                    Chosen(candidate);
                    return candidate;
                case VictimVerdict.InUse:
                    MoveChainToNewest(candidate, candidate.LastUse);
                    break;
                default:
                    MoveBehindChildren(candidate);
                    break;
            }
        }

        // Who is refused may keep a queue at the length at which the policy goes on choosing from it: then anybody leaves who may.
        return LeastValuableFirst().FirstOrDefault(block => judge(block) == VictimVerdict.Take);
    }

    public virtual IEnumerable<T> LeastValuableFirst() => _queues.SelectMany(queue => queue.OldestFirst());

    public virtual IEnumerable<T> MostValuableFirst() => _queues.Reverse().SelectMany(queue => queue.NewestFirst());

    public virtual double? ExpectedUses(T block) => null;

    /// <summary>Where blocks lie that leave before all others.</summary>
    private protected virtual RetentionQueue<T> FirstToLeave => _queues[0];

    /// <summary>Where blocks of a queue go that are in use when their turn comes.</summary>
    private protected virtual RetentionQueue<T> QueueInUse(int number) => _queues[number];

    /// <summary>Most candidates, taken or spared, for each block that is here until all were offered.</summary>
    private protected virtual int StepsPerBlock => 1;

    private protected RetentionQueue<T> Queue(int number) => _queues[number];

    /// <summary>Puts a new block in a queue.</summary>
    private protected abstract void Place(T block, long request, bool lowInterest);

    /// <summary>A block that is here was used, and before that at <paramref name="usedBefore"/>.</summary>
    private protected abstract void Use(T block, long usedBefore);

    /// <summary>The next candidate, or null when one was spared on the way.</summary>
    private protected abstract T? Candidate();

    /// <summary>A candidate leaves.</summary>
    private protected virtual void Chosen(T block)
    {
    }

    /// <summary>A block leaves its queue for good, evicted or not.</summary>
    private protected virtual void Leave(T block)
    {
    }

    /// <summary>Puts a new block before the parent that came with the same request, or at the newest end.</summary>
    private protected static void InsertBeforeParent(RetentionQueue<T> queue, T block, long request)
    {
        if (block.Parent is { IsRetained: true } parent && parent.Queue == queue.Number && request - parent.AddedAt <= SameRequestTicks)
        {
            queue.InsertOlderThan(parent, block);
        }
        else
        {
            queue.InsertNewest(block);
        }
    }

    private protected void MoveToNewest(T block, RetentionQueue<T> queue)
    {
        _queues[block.Queue].Remove(block);
        queue.InsertNewest(block);
    }

    /// <summary>From the block up to the first of its chain, so that a parent always leaves after its child.</summary>
    private protected void MoveChainToNewest(T block, long request)
    {
        for (var current = block; current is not null; current = current.Parent)
        {
            if (current.IsRetained)
            {
                current.LastUse = Math.Max(current.LastUse, request);
                MoveToNewest(current, QueueInUse(current.Queue));
            }
        }
    }

    /// <summary>
    /// Puts a block where it leaves right after its children. Its own use stays what it was: a place at the newest end would keep
    /// blocks of chains that were guessed in a wrong order for a second life. Where a chain came from its head on, or went on from request to request,
    /// all of it is put right at once.
    /// </summary>
    private void MoveBehindChildren(T block)
    {
        var last = block;
        while (NewestChild(last) is { } child && (ReferenceEquals(last, block) || IsInWrongOrder(last, child)))
        {
            last = child;
        }

        if (ReferenceEquals(last, block))
        {
            MoveToNewest(block, QueueInUse(block.Queue));
            return;
        }

        for (var current = last; !ReferenceEquals(current, block); current = current.Parent)
        {
            var parent = current!.Parent!;
            _queues[parent.Queue].Remove(parent);
            _queues[current.Queue].InsertNewerThan(current, parent);
        }
    }

    private static bool IsInWrongOrder(T parent, T child) =>
        child.LastUse > parent.LastUse || (child.LastUse == parent.LastUse && child.Queue == parent.Queue);

    private static T? NewestChild(T block)
    {
        T? newest = null;
        var child = block.FirstChild;
        for (var left = MaxChildren; child is not null && left > 0; child = child.NextSibling, left--)
        {
            newest = child.IsRetained && (newest is null || child.LastUse > newest.LastUse) ? child : newest;
        }

        return newest;
    }
}
