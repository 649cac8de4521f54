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
internal sealed class ChainLedger
{
    private readonly Lock _lock = new();
    private readonly Dictionary<KeyDigest, ChainNode> _holes = [];
    private volatile int _holeCount;

    public int Holes => _holeCount;

    /// <summary>A block became visible. <paramref name="findParent"/> is asked for the parent's block, by digest.</summary>
    public void Attach(Block block, KeyDigest? parent, Func<KeyDigest, Block?> findParent)
    {
        if (parent is null && _holeCount == 0)
        {
            return;
        }

        lock (_lock)
        {
            if (_holes.Remove(block.Digest, out var ownHole))
            {
                ownHole.Block = block;
                block.Chain = ownHole;
            }

            if (parent is { } digest)
            {
                var node = block.Chain ??= new ChainNode(block.Digest) { Block = block };
                if (node.Parent is null && digest != block.Digest && NodeOf(digest, findParent) is { } parentNode)
                {
                    JoinUnlessCircular(node, parentNode);
                }
            }

            _holeCount = _holes.Count;
        }
    }

    /// <summary>A block is gone from every tier.</summary>
    public void Detach(Block block)
    {
        if (block.Chain is null)
        {
            return;
        }

        lock (_lock)
        {
            // A newer block of the same key may stand here by now; then there is no hole.
            if (block.Chain is { } node && ReferenceEquals(node.Block, block))
            {
                node.Block = null;
                if (node.Children > 0)
                {
                    _holes.TryAdd(node.Digest, node);
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

    private ChainNode NodeOf(KeyDigest digest, Func<KeyDigest, Block?> findParent)
    {
        if (_holes.TryGetValue(digest, out var hole))
        {
            return hole;
        }

        var parent = findParent(digest);
        if (parent is null || parent.IsDead)
        {
            // A parent that dies at this moment detaches after us and finds its place taken by the hole.
            if (parent?.Chain is { } dying)
            {
                dying.Block = null;
                return _holes[digest] = dying;
            }

            return _holes[digest] = new ChainNode(digest);
        }

        return parent.Chain ??= new ChainNode(digest) { Block = parent };
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
