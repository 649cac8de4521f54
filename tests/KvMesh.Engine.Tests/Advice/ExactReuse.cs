namespace KvMesh.Engine.Tests.Advice;

/// <summary>
/// The exact curves of a sequence of touches, of all tenants in one order: for each touch, the bytes of all blocks used since the block's last use, and its own. It keeps
/// every touch.
/// </summary>
/// <param name="uses">Touches and places together, at most.</param>
internal sealed class ExactReuse(int uses)
{
    private readonly long[] _tree = new long[uses + 1];
    private readonly Dictionary<ulong, (int Time, int Bytes)> _last = [];
    private readonly ExactCurve _all = new();
    private readonly Dictionary<string, ExactCurve> _tenants = [];
    private int _now;

    public long DistinctBytes { get; private set; }

    public int DistinctBlocks => _last.Count;

    public IEnumerable<string> Tenants => _tenants.Keys;

    /// <summary>A block was asked for. False: it was never placed.</summary>
    public bool Touch(ulong key, string tenant = "")
    {
        if (!_tenants.TryGetValue(tenant, out var own))
        {
            _tenants.Add(tenant, own = new ExactCurve());
        }

        long? distance = _last.TryGetValue(key, out var last) ? DistinctBytes - SumBefore(last.Time) : null;
        _all.Add(distance);
        own.Add(distance);
        if (distance is null)
        {
            return false;
        }

        Place(key, last.Bytes);
        return true;
    }

    /// <summary>A block was stored: it is the one used last from now on.</summary>
    public void Place(ulong key, int bytes)
    {
        if (_last.TryGetValue(key, out var last))
        {
            Add(last.Time, -last.Bytes);
        }

        Add(_now, bytes);
        _last[key] = (_now++, bytes);
    }

    public ExactCurve All() => _all.Sorted();

    public ExactCurve Of(string tenant) => _tenants[tenant].Sorted();

    private void Add(int time, long bytes)
    {
        DistinctBytes += bytes;
        for (var index = time + 1; index < _tree.Length; index += index & -index)
        {
            _tree[index] += bytes;
        }
    }

    private long SumBefore(int time)
    {
        var sum = 0L;
        for (var index = time; index > 0; index &= index - 1)
        {
            sum += _tree[index];
        }

        return sum;
    }
}

/// <summary>What was asked, and what an LRU cache of any size answers of it.</summary>
internal sealed class ExactCurve
{
    private readonly List<long> _distances = [];

    public int Touches { get; private set; }

    /// <param name="distance">Bytes that a cache needs to answer; null: none does.</param>
    public void Add(long? distance)
    {
        Touches++;
        if (distance is { } bytes)
        {
            _distances.Add(bytes);
        }
    }

    public ExactCurve Sorted()
    {
        _distances.Sort();
        return this;
    }

    /// <summary>Only after <see cref="Sorted"/>.</summary>
    public double HitRatioAt(double bytes)
    {
        var (low, high) = (0, _distances.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = _distances[middle] <= bytes ? (middle + 1, high) : (low, middle);
        }

        return low / (double)Touches;
    }
}
