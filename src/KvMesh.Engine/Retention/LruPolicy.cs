using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Retention;

/// <summary>
/// Least recently used by request, tail first: within one request a block counts as used just before its parent, so a chain
/// is given up from its end and what is left is always a prefix.
/// </summary>
internal sealed class LruPolicy : IRetentionPolicy
{
    /// <summary>Candidates looked at before an eviction gives up; those refused are moved to the newest end.</summary>
    private const int MaxCandidates = 256;

    /// <summary>A parent used longer ago than this was not used by the request that adds its child.</summary>
    private const long SameRequestTicks = TimeSpan.TicksPerSecond;

    private Block? _newest;
    private Block? _oldest;

    public void Add(Block block, long request, bool lowInterest)
    {
        block.LastUse = request;
        block.IsRetained = true;
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
            Touch(parent, request);
        }

        InsertOlderThan(parent, block);
    }

    public void Touch(Block block, long request)
    {
        for (var current = block; current is not null; current = current.Parent)
        {
            if (current.IsRetained)
            {
                current.LastUse = request;
            }
        }

        MoveChainToNewest(block);
    }

    public void Remove(Block block)
    {
        if (block.IsRetained)
        {
            Unlink(block);
            block.IsRetained = false;
        }
    }

    public Block? NextVictim(Func<Block, VictimVerdict> judge)
    {
        for (var looked = 0; looked < MaxCandidates && _oldest is { } candidate; looked++)
        {
            switch (judge(candidate))
            {
                case VictimVerdict.Take:
                    return candidate;
                case VictimVerdict.InUse:
                    MoveChainToNewest(candidate);
                    break;
                default:
                    Unlink(candidate);
                    InsertNewest(candidate);
                    break;
            }
        }

        return null;
    }

    public IEnumerable<Block> LeastValuableFirst()
    {
        for (var block = _oldest; block is not null; block = block.Newer)
        {
            yield return block;
        }
    }

    public IEnumerable<Block> MostValuableFirst()
    {
        for (var block = _newest; block is not null; block = block.Older)
        {
            yield return block;
        }
    }

    /// <summary>From the block up to the first of its chain, so that a parent always leaves after its child.</summary>
    private void MoveChainToNewest(Block block)
    {
        for (var current = block; current is not null; current = current.Parent)
        {
            if (current.IsRetained)
            {
                Unlink(current);
                InsertNewest(current);
            }
        }
    }

    private void InsertNewest(Block block)
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
    private void InsertOlderThan(Block? neighbour, Block block)
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

    private void Unlink(Block block)
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
