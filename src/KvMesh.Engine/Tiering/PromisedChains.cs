using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Tiering;

/// <summary>
/// Whether leases or pins keep a block: its own, its partner's, or those of a block behind it in the chain, which hold all before it. What was
/// found is remembered on the blocks for a moment, so that a walk over a chain, block by block, visits each block once. One thread.
/// </summary>
internal sealed class PromisedChains
{
    /// <summary>How long an answer about those behind a block counts. A lease that is granted meanwhile may come too late for its ancestors.</summary>
    private const long RoundMilliseconds = 100;

    private readonly Stack<Block> _toVisit = new();
    private int _round;
    private long _roundStart;

    public bool Cover(Block block, long now)
    {
        var main = block.IsCompanion && Volatile.Read(ref block.Companion) is { } partner ? partner : block;
        if (main.IsPromisedAt(now))
        {
            return true;
        }

        if (!main.HasChildren)
        {
            return false;
        }

        if (now - _roundStart is < 0 or >= RoundMilliseconds)
        {
            _round++;
            _roundStart = now;
        }

        return IsAnyBehind(main, now);
    }

    private bool IsAnyBehind(Block first, long now)
    {
        _toVisit.Clear();
        _toVisit.Push(first);
        while (_toVisit.TryPop(out var block))
        {
            if (block.PromiseMark == -_round)
            {
                continue;
            }

            if (block.PromiseMark == _round || block.IsPromisedAt(now))
            {
                MarkWithAncestors(block);
                return true;
            }

            // What is left to visit when one is found follows a block between the first and that one, and those are marked anew.
            block.PromiseMark = -_round;
            for (var child = block.FirstChild; child is not null; child = child.NextSibling)
            {
                _toVisit.Push(child);
            }
        }

        return false;
    }

    private void MarkWithAncestors(Block block)
    {
        block.PromiseMark = _round;
        for (var parent = block.Parent; parent is not null && parent.PromiseMark != _round; parent = parent.Parent)
        {
            parent.PromiseMark = _round;
        }
    }
}
