using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// A place in a chain. It outlives the block that stands on it while others follow, so that a block that comes back finds its
/// children again. Fields are written under the ledger's lock; parents are read by anyone.
/// </summary>
internal sealed class ChainNode(KeyDigest digest)
{
    public KeyDigest Digest { get; } = digest;

    /// <summary>The block that stands here, or null: a hole.</summary>
    public Block? Block;

    public ChainNode? Parent;

    /// <summary>Nodes whose parent this is.</summary>
    public int Children;

    /// <summary>Whether a block stood here and left: what was remembered of depths behind it does not hold while it is away. Under the ledger's lock.</summary>
    public bool IsTorn;

    /// <summary>One of the children, and from child to child the others. Readers without the ledger's lock may see an old one.</summary>
    public ChainNode? FirstChild;
    public ChainNode? NextSibling;

    private ChainNode? _previousSibling;
    private int _depth;

    /// <summary>Puts this node below <paramref name="parent"/>. Under the ledger's lock.</summary>
    public void Join(ChainNode parent)
    {
        Parent = parent;
        parent.Children++;
        NextSibling = parent.FirstChild;
        if (NextSibling is not null)
        {
            NextSibling._previousSibling = this;
        }

        parent.FirstChild = this;
    }

    /// <summary>Takes this node from its parent. Under the ledger's lock.</summary>
    public void Leave()
    {
        if (_previousSibling is not null)
        {
            _previousSibling.NextSibling = NextSibling;
        }
        else
        {
            Parent!.FirstChild = NextSibling;
        }

        if (NextSibling is not null)
        {
            NextSibling._previousSibling = _previousSibling;
        }

        Parent!.Children--;
        Parent = NextSibling = _previousSibling = null;
    }

    /// <summary>Blocks from the first of the chain to this one, or 0 when one of them is missing. Remembered once known.</summary>
    public int Depth()
    {
        var steps = 0;
        for (var node = this; node.Block is not null; node = node.Parent)
        {
            steps++;
            if (node.Parent is null || node._depth > 0)
            {
                return _depth = steps + Math.Max(node._depth - 1, 0);
            }
        }

        return 0;
    }

    /// <summary>
    /// Of this node and those behind it, which stood at the beginning of a chain until now. A reader that has just counted may remember an old depth
    /// after that: it is too small, proves nothing and costs a walk.
    /// </summary>
    public void ForgetDepths()
    {
        var behind = new Stack<ChainNode>([this]);
        while (behind.TryPop(out var node))
        {
            node._depth = 0;
            for (var child = node.FirstChild; child is not null; child = child.NextSibling)
            {
                behind.Push(child);
            }
        }
    }
}

/// <summary>
/// Who follows whom among one tenant's blocks, and which places have no block that others follow. While nothing was torn out of a chain, a prefix match may
/// gallop; a place whose block has yet to come only keeps the depth of what is behind it unknown.
/// </summary>
internal sealed class ChainLedger(Func<KeyDigest, Block?> find)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<KeyDigest, ChainNode> _holes = [];
    private volatile int _holeCount;
    private volatile int _tornCount;
    private volatile bool _hasExpiring;

    /// <summary>Places that a block has left though others follow it.</summary>
    public int Holes => _tornCount;

    /// <summary>
    /// Whether a block may be invisible whose depth is remembered: there are holes that it left, or blocks that end by themselves, and one that
    /// has ended makes its hole only when it is swept.
    /// </summary>
    public bool MayHaveGaps => _tornCount > 0 || _hasExpiring;

    /// <summary>A block of content ends by itself. From then on this tenant's matches confirm every block: content seldom has an expiry.</summary>
    public void NoteExpiring() => _hasExpiring = true;

    /// <summary>
    /// A block is in the index. It looks for holes after that, and who makes a hole looks at the index after that. Also for one that is there already
    /// and came without its parent, when somebody names it.
    /// </summary>
    public void Attach(Block block, KeyDigest? parent)
    {
        Interlocked.MemoryBarrier();
        if (parent is null && _holeCount == 0)
        {
            return;
        }

        lock (_lock)
        {
            // Its detach may have come first; a node now would hold the parent for ever.
            if (block.IsDead)
            {
                return;
            }

            // Behind a place whose block had yet to come no depth is known; behind one that was left, it is remembered.
            var knowsDepths = true;
            if (_holes.TryGetValue(block.Digest, out var ownHole))
            {
                knowsDepths = ownHole.IsTorn;
                Fill(ownHole, block);
            }

            if (parent is { } digest)
            {
                var node = block.Chain ??= new ChainNode(block.Digest) { Block = block };
                if (node.Parent is null && digest != block.Digest)
                {
                    if (knowsDepths)
                    {
                        node.ForgetDepths();
                    }

                    JoinUnlessCircular(node, NodeOf(digest));
                }
            }
        }
    }

    /// <summary>A block is gone from the index.</summary>
    public void Detach(Block block)
    {
        lock (_lock)
        {
            if (block.Chain is { } node && ReferenceEquals(node.Block, block))
            {
                node.Block = null;
                if (node.Children > 0)
                {
                    Occupy(node, isTorn: true);
                }
                else
                {
                    ReleaseUpwards(node);
                }
            }
        }
    }

    /// <summary>
    /// A place that is taken again keeps its children. When the order of a chain was guessed, one of them may be named as its
    /// parent now: that would hold both for ever, so the block stays without a parent.
    /// </summary>
    private void JoinUnlessCircular(ChainNode node, ChainNode parent)
    {
        for (var ancestor = node.FirstChild is null ? null : parent; ancestor is not null; ancestor = ancestor.Parent)
        {
            if (ReferenceEquals(ancestor, node))
            {
                if (parent.Block is null && parent.Children == 0)
                {
                    Close(parent);
                }

                return;
            }
        }

        node.Join(parent);
    }

    private ChainNode NodeOf(KeyDigest digest)
    {
        if (_holes.TryGetValue(digest, out var hole))
        {
            return hole;
        }

        if (find(digest) is { IsDead: false } parent)
        {
            return parent.Chain ??= new ChainNode(digest) { Block = parent };
        }

        // The parent may come at this moment and see no hole: the look after the hole is counted finds it.
        var node = new ChainNode(digest);
        Occupy(node, isTorn: false);
        return node;
    }

    /// <summary>
    /// A place without a block: a hole, unless the index has a block for it by now, which takes the place, or the hole is known
    /// already, which takes the children.
    /// </summary>
    private void Occupy(ChainNode node, bool isTorn)
    {
        if (_holes.TryGetValue(node.Digest, out var hole))
        {
            Mark(hole, isTorn);
            Move(node, hole);
            return;
        }

        _holes.Add(node.Digest, node);
        _holeCount = _holes.Count;
        Mark(node, isTorn);
        Interlocked.MemoryBarrier();
        if (find(node.Digest) is not { IsDead: false } block)
        {
            return;
        }

        if (block.Chain is { } taken)
        {
            Close(node);
            Move(node, taken);
            return;
        }

        Fill(node, block);
    }

    private void Mark(ChainNode hole, bool isTorn)
    {
        if (isTorn && !hole.IsTorn)
        {
            hole.IsTorn = true;
            _tornCount++;
        }
    }

    private void Fill(ChainNode hole, Block block)
    {
        hole.Block = block;
        block.Chain = hole;
        Close(hole);
    }

    /// <summary>A place is no hole any more: it has its block, or nobody follows it.</summary>
    private void Close(ChainNode hole)
    {
        _holes.Remove(hole.Digest);
        _holeCount = _holes.Count;
        if (hole.IsTorn)
        {
            hole.IsTorn = false;
            _tornCount--;
        }
    }

    private void Move(ChainNode from, ChainNode to)
    {
        while (from.FirstChild is { } child)
        {
            child.Leave();
            JoinUnlessCircular(child, to);
        }

        ReleaseUpwards(from);
    }

    /// <summary>Forgets a node that nobody follows, and holes above it that only it kept.</summary>
    private void ReleaseUpwards(ChainNode node)
    {
        while (node.Parent is { } parent)
        {
            node.Leave();
            if (parent.Block is not null || parent.Children > 0)
            {
                return;
            }

            Close(parent);
            node = parent;
        }
    }
}
