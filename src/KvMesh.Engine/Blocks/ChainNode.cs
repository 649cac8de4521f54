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
}

/// <summary>
/// Who follows whom among one tenant's blocks, and how many holes there are: places without a block that others follow. While
/// there are none, a prefix match may gallop.
/// </summary>
internal sealed class ChainLedger(Func<KeyDigest, Block?> find)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<KeyDigest, ChainNode> _holes = [];
    private volatile int _holeCount;

    public int Holes => _holeCount;

    /// <summary>A block is in the index. It looks for holes after that, and who makes a hole looks at the index after that.</summary>
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

            if (_holes.Remove(block.Digest, out var ownHole))
            {
                ownHole.Block = block;
                block.Chain = ownHole;
            }

            if (parent is { } digest)
            {
                var node = block.Chain ??= new ChainNode(block.Digest) { Block = block };
                if (node.Parent is null && digest != block.Digest)
                {
                    JoinUnlessCircular(node, NodeOf(digest));
                }
            }

            _holeCount = _holes.Count;
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
                    Occupy(node);
                }
                else
                {
                    ReleaseUpwards(node);
                }
            }

            _holeCount = _holes.Count;
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
                    _holes.Remove(parent.Digest);
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
        Occupy(node);
        return node;
    }

    /// <summary>
    /// A place without a block: a hole, unless the index has a block for it by now, which takes the place, or the hole is known
    /// already, which takes the children.
    /// </summary>
    private void Occupy(ChainNode node)
    {
        if (_holes.TryGetValue(node.Digest, out var hole))
        {
            Move(node, hole);
            return;
        }

        _holes.Add(node.Digest, node);
        _holeCount = _holes.Count;
        Interlocked.MemoryBarrier();
        if (find(node.Digest) is not { IsDead: false } block)
        {
            return;
        }

        _holes.Remove(node.Digest);
        if (block.Chain is { } taken)
        {
            Move(node, taken);
            return;
        }

        block.Chain = node;
        node.Block = block;
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

            _holes.Remove(parent.Digest);
            node = parent;
        }
    }
}
