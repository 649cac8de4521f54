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

    public TouchBuffer()
    {
        for (var stripe = 0; stripe < StripeCount; stripe++)
        {
            _stripes[stripe] = new Stripe();
        }
    }

    /// <summary>Notes a use. False when the stripe is filling up and somebody should drain.</summary>
    public bool Add(Block block, long request) =>
        _stripes[Environment.CurrentManagedThreadId & (StripeCount - 1)].Add(new Touch(block, request));

    /// <summary>
    /// Applies all uses in order of time. A use that is followed by one of its own child belongs to the same walk along a chain
    /// and is covered by it.
    /// </summary>
    public void DrainNeedsLock()
    {
        foreach (var stripe in _stripes)
        {
            stripe.MoveTo(_drained);
        }

        _drained.Sort(static (left, right) => left.Request.CompareTo(right.Request));
        for (var index = 0; index < _drained.Count; index++)
        {
            var (block, request) = _drained[index];
            if (index + 1 == _drained.Count || !ReferenceEquals(_drained[index + 1].Block.Parent, block))
            {
                block.Tenant.Retention.Touch(block, request);
            }
        }

        _drained.Clear();
    }

    private readonly record struct Touch(Block Block, long Request);

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
            lock (_lock)
            {
                destination.AddRange(_touches.AsSpan(0, _count));
                Array.Clear(_touches, 0, _count);
                _count = 0;
            }
        }
    }
}
