namespace KvMesh.Engine.Retention;

/// <summary>
/// Compares a policy with LRU on a sample of the same blocks: what would have been here under LRU, and what was. While LRU wins by more than a little its order
/// counts; then the policy is tried again, after twice the time when it lost again.
/// </summary>
internal sealed class ShadowGuard
{
    /// <summary>Most blocks in the shadow; above it one in two, four, … blocks is followed (Waldspurger et al., SHARDS, FAST 2015).</summary>
    private const int MaxShadow = 8192;

    /// <summary>References in one comparison: so many times the shadow, and at least so many.</summary>
    private const int WindowPerShadow = 2;
    private const int MinWindow = 4096;

    /// <summary>Part of the references by which LRU has to win: a third of the half point that may be lost at most.</summary>
    private const double Margin = 0.0017;

    private const int MaxPenalty = 32;

    private readonly Dictionary<ulong, LinkedListNode<ulong>> _shadow = [];
    private readonly LinkedList<ulong> _order = new();
    private ulong _mask;
    private long _references;
    private long _own;
    private long _lru;
    private int _penalty = 1;
    private int _windowsLeft;

    public bool FollowsLru { get; private set; }

    /// <param name="fingerprint">A block that was asked for.</param>
    /// <param name="wasHere">Whether it was here.</param>
    /// <param name="capacity">Blocks that are here.</param>
    public void Note(ulong fingerprint, bool wasHere, int capacity)
    {
        // The low bits may choose places in tables elsewhere: the sample is by the high ones.
        var spread = fingerprint * 0x9E37_79B9_7F4A_7C15 >> 32;
        if ((spread & _mask) != 0)
        {
            return;
        }

        var isInShadow = _shadow.TryGetValue(fingerprint, out var node);
        if (node is not null)
        {
            _order.Remove(node);
            _order.AddLast(node);
        }
        else
        {
            _shadow.Add(fingerprint, _order.AddLast(fingerprint));
        }

        _own += wasHere ? 1 : 0;
        _lru += isInShadow ? 1 : 0;
        _references++;
        var size = Math.Max(1, capacity / (long)(_mask + 1));
        while (_shadow.Count > size)
        {
            _shadow.Remove(_order.First!.Value);
            _order.RemoveFirst();
        }

        if (_shadow.Count > MaxShadow)
        {
            Thin();
        }

        if (_references >= Math.Max(MinWindow, WindowPerShadow * size))
        {
            Judge();
        }
    }

    private void Judge()
    {
        if (FollowsLru)
        {
            FollowsLru = --_windowsLeft > 0;
        }
        else if (_lru > _own + (Margin * _references))
        {
            FollowsLru = true;
            _windowsLeft = _penalty;
            _penalty = Math.Min(_penalty * 2, MaxPenalty);
        }
        else if (_own > _lru)
        {
            _penalty = Math.Max(1, _penalty / 2);
        }

        _references = _own = _lru = 0;
    }

    private void Thin()
    {
        _mask = (_mask << 1) | 1;
        for (var node = _order.First; node is not null;)
        {
            var next = node.Next;
            if (((node.Value * 0x9E37_79B9_7F4A_7C15 >> 32) & _mask) != 0)
            {
                _shadow.Remove(node.Value);
                _order.Remove(node);
            }

            node = next;
        }

        _references = _own = _lru = 0;
    }
}
