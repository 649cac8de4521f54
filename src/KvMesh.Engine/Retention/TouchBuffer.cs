using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Retention;

/// <summary>
/// Collects uses of blocks until the order lock is held anyway, so that a read takes no lock that another core wants: each
/// thread writes to one of a few stripes. When a stripe is full and nobody drains, the newest use is forgotten: it may cost a
/// little order, never a block.
/// </summary>
internal sealed class TouchBuffer
{
    private const int StripeCount = 16;
    private const int StripeCapacity = 256;

    private readonly Stripe[] _stripes = new Stripe[StripeCount];
    private readonly List<Touch> _drained = new(StripeCount * StripeCapacity);
    private readonly List<Touch> _latestFirst = new(StripeCount * StripeCapacity);
    private int _drain;

    /// <summary>Whether there may be uses to drain: writers of blocks ask at each one. Set after a use was noted, cleared before they are taken.</summary>
    private volatile bool _hasTouches;

    public TouchBuffer()
    {
        for (var stripe = 0; stripe < StripeCount; stripe++)
        {
            _stripes[stripe] = new Stripe();
        }
    }

    /// <summary>
    /// Notes a use of a block, and of its ancestors when it was used as the end of a prefix. False when the stripe is filling up and
    /// somebody should drain.
    /// </summary>
    public bool Add(Block block, long request, bool withAncestors)
    {
        var hasRoom = _stripes[Environment.CurrentManagedThreadId & (StripeCount - 1)].Add(new Touch(block, request, withAncestors));
        if (!_hasTouches)
        {
            _hasTouches = true;
        }

        return hasRoom;
    }

    /// <summary>
    /// Applies all uses. It goes through them from the latest back and takes each block once, at its latest use, a parent as later
    /// than its child: so a prefix that many requests share costs as much as one.
    /// </summary>
    public void DrainNeedsLock()
    {
        if (!_hasTouches)
        {
            return;
        }

        _hasTouches = false;
        Interlocked.MemoryBarrier();
        foreach (var stripe in _stripes)
        {
            stripe.MoveTo(_drained);
        }

        if (_drained.Count == 0)
        {
            return;
        }

        _drain++;
        _drained.Sort(static (left, right) => right.Request.CompareTo(left.Request));
        foreach (var touch in _drained)
        {
            AddLatestFirst(touch);
        }

        for (var index = _latestFirst.Count - 1; index >= 0; index--)
        {
            var (block, request, _) = _latestFirst[index];
            Interlocked.Increment(ref block.Hits);
            block.Tenant.Retention.Touch(block, request);
        }

        _latestFirst.Clear();
        _drained.Clear();
    }

    private void AddLatestFirst(in Touch touch)
    {
        var start = _latestFirst.Count;
        for (var block = touch.Block; block is not null && block.DrainMark != _drain; block = touch.WithAncestors ? block.Parent : null)
        {
            block.DrainMark = _drain;
            _latestFirst.Add(touch with { Block = block });
        }

        _latestFirst.Reverse(start, _latestFirst.Count - start);
    }

    private readonly record struct Touch(Block Block, long Request, bool WithAncestors);

    private sealed class Stripe
    {
        private readonly Lock _lock = new();
        private readonly Touch[] _touches = new Touch[StripeCapacity];
        private int _count;

        public bool Add(Touch touch)
        {
            lock (_lock)
            {
                if (_count < StripeCapacity)
                {
                    _touches[_count++] = touch;
                }

                return _count < StripeCapacity / 2;
            }
        }

        public void MoveTo(List<Touch> destination)
        {
            if (Volatile.Read(ref _count) == 0)
            {
                return;
            }

            lock (_lock)
            {
                destination.AddRange(_touches.AsSpan(0, _count));
                Array.Clear(_touches, 0, _count);
                _count = 0;
            }
        }
    }
}
