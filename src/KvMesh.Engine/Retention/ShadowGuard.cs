namespace KvMesh.Engine.Retention;

/// <summary>
/// Compares a policy with LRU on a sample of the same blocks: what would have been here under LRU, and what was. While LRU wins by more than a little its order
/// counts; then the policy is tried again, after twice the time when it lost again.
/// </summary>
internal sealed class ShadowGuard
{
    /// <summary>References in one comparison: so many times the shadow, and at least so many.</summary>
    private const int WindowPerShadow = 2;
    private const int MinWindow = 4096;

    /// <summary>Part of the references by which LRU has to win: a third of the half point that may be lost at most.</summary>
    private const double Margin = 0.0017;

    private const int MaxPenalty = 32;

    private long _references;
    private long _own;
    private long _lru;
    private int _penalty = 1;
    private int _windowsLeft;

    public bool FollowsLru { get; private set; }

    /// <param name="wasHere">Whether a block that was asked for was here.</param>
    /// <param name="wouldBeHere">Whether it would have been under LRU.</param>
    /// <param name="size">Blocks that LRU would hold, of those that are compared.</param>
    public void Note(bool wasHere, bool wouldBeHere, int size)
    {
        _own += wasHere ? 1 : 0;
        _lru += wouldBeHere ? 1 : 0;
        _references++;
        if (_references >= Math.Max(MinWindow, (long)WindowPerShadow * size))
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
}
