namespace KvMesh.Engine.Retention;

/// <summary>
/// Least recently used by request, tail first: within one request a block counts as used just before its parent, so a chain
/// is given up from its end and what is left is always a prefix.
/// </summary>
public sealed class LruPolicy<T> : IRetentionPolicy<T>
    where T : Retained<T>
{
    /// <summary>
    /// A parent used longer ago than this is brought along by a new child: its own use may still wait in the touch buffer, or
    /// have been left out under a lease. Short beside the time between requests, long beside that between two puts of one.
    /// </summary>
    private const long SameRequestTicks = 10 * TimeSpan.TicksPerMillisecond;

    /// <summary>Children looked at to place their parent.</summary>
    private const int MaxChildren = 8;

    private T? _newest;
    private T? _oldest;
    private int _count;

    public void Add(T block, long request, bool lowInterest)
    {
        block.LastUse = request;
        block.IsRetained = true;
        _count++;
        if (lowInterest)
        {
            InsertOlderThan(null, block);
            return;
        }

        if (block.Parent is not { IsRetained: true } parent)
        {
            InsertNewest(block);
            return;
        }

        if (request - parent.LastUse > SameRequestTicks)
        {
            MoveChainToNewest(parent, request);
        }

        InsertOlderThan(parent, block);
    }

    public void Touch(T block, long request)
    {
        if (block.IsRetained)
        {
            block.LastUse = request;
            Unlink(block);
            InsertNewest(block);
        }
    }

    public void Remove(T block)
    {
        if (block.IsRetained)
        {
            Unlink(block);
            block.IsRetained = false;
            _count--;
        }
    }

    public T? NextVictim(Func<T, VictimVerdict> judge)
    {
        // Who is refused goes to the newest end, so one round meets everybody.
        for (var left = _count; left > 0 && _oldest is { } candidate; left--)
        {
            switch (judge(candidate))
            {
                case VictimVerdict.Take:
                    return candidate;
                case VictimVerdict.InUse:
                    MoveChainToNewest(candidate, candidate.LastUse);
                    break;
                default:
                    MoveBehindChildren(candidate);
                    break;
            }
        }

        return null;
    }

    public IEnumerable<T> LeastValuableFirst()
    {
        for (var block = _oldest; block is not null; block = block.Newer)
        {
            yield return block;
        }
    }

    public IEnumerable<T> MostValuableFirst()
    {
        for (var block = _newest; block is not null; block = block.Older)
        {
            yield return block;
        }
    }

    /// <summary>From the block up to the first of its chain, so that a parent always leaves after its child.</summary>
    private void MoveChainToNewest(T block, long request)
    {
        for (var current = block; current is not null; current = current.Parent)
        {
            if (current.IsRetained)
            {
                current.LastUse = Math.Max(current.LastUse, request);
                Unlink(current);
                InsertNewest(current);
            }
        }
    }

    /// <summary>
    /// Puts a block where it leaves right after its children. Its own use stays what it was: a place at the newest end would keep
    /// blocks of chains that were guessed in a wrong order for a second life.
    /// </summary>
    private void MoveBehindChildren(T block)
    {
        T? newest = null;
        foreach (var child in block.ChildBlocks.Take(MaxChildren))
        {
            newest = child.IsRetained && (newest is null || child.LastUse > newest.LastUse) ? child : newest;
        }

        Unlink(block);
        if (newest is null)
        {
            InsertNewest(block);
        }
        else
        {
            InsertNewerThan(newest, block);
        }
    }

    private void InsertNewerThan(T neighbour, T block)
    {
        if (neighbour.Newer is null)
        {
            InsertNewest(block);
        }
        else
        {
            InsertOlderThan(neighbour.Newer, block);
        }
    }

    private void InsertNewest(T block)
    {
        block.Older = _newest;
        block.Newer = null;
        if (_newest is null)
        {
            _oldest = block;
        }
        else
        {
            _newest.Newer = block;
        }

        _newest = block;
    }

    /// <summary>Puts a block just before <paramref name="neighbour"/> in the order of leaving; null: before all others.</summary>
    private void InsertOlderThan(T? neighbour, T block)
    {
        block.Newer = neighbour ?? _oldest;
        block.Older = neighbour?.Older;
        if (block.Older is null)
        {
            _oldest = block;
        }
        else
        {
            block.Older.Newer = block;
        }

        if (block.Newer is null)
        {
            _newest = block;
        }
        else
        {
            block.Newer.Older = block;
        }
    }

    private void Unlink(T block)
    {
        if (block.Newer is null)
        {
            _newest = block.Older;
        }
        else
        {
            block.Newer.Older = block.Older;
        }

        if (block.Older is null)
        {
            _oldest = block.Newer;
        }
        else
        {
            block.Older.Newer = block.Newer;
        }

        block.Newer = block.Older = null;
    }
}
