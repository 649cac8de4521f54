namespace KvMesh.Engine.Retention;

/// <summary>Fingerprints of blocks that have left, oldest first. Adding and removing are O(1), amortised.</summary>
internal sealed class GhostList
{
    /// <summary>Places in the order beyond twice what is remembered, before those that came back are taken out of it.</summary>
    private const int MaxStale = 64;

    private readonly Dictionary<ulong, long> _numbers = [];
    private readonly Queue<(ulong Fingerprint, long Number)> _order = new();
    private long _next;

    public int Count => _numbers.Count;

    /// <summary>What is remembered, and what came back and still has its place in the order.</summary>
    public int Places => _order.Count;

    /// <summary>A block left, later than all others.</summary>
    public void Add(ulong fingerprint)
    {
        _numbers[fingerprint] = ++_next;
        _order.Enqueue((fingerprint, _next));
        if (_order.Count > MaxStale + (2 * _numbers.Count))
        {
            for (var left = _order.Count; left > 0; left--)
            {
                if (_order.Dequeue() is var place && IsCurrent(place))
                {
                    _order.Enqueue(place);
                }
            }
        }
    }

    /// <summary>It came back. False: it is not remembered.</summary>
    public bool Remove(ulong fingerprint) => _numbers.Remove(fingerprint);

    /// <summary>Forgets the oldest until there are so many.</summary>
    public void Trim(int count)
    {
        while (_numbers.Count > count && _order.TryDequeue(out var oldest))
        {
            if (IsCurrent(oldest))
            {
                _numbers.Remove(oldest.Fingerprint);
            }
        }
    }

    private bool IsCurrent((ulong Fingerprint, long Number) place) => _numbers.TryGetValue(place.Fingerprint, out var number) && number == place.Number;
}
