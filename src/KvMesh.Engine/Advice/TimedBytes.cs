namespace KvMesh.Engine.Advice;

/// <summary>
/// Bytes at times from 0 on, and the sum of all behind a time: a tree of three levels with 32 children each. A change is three additions, a sum those of 3 × 31
/// neighbours at most: for tens of thousands of times cheaper than a step for each bit of them. One caller at a time.
/// </summary>
internal sealed class TimedBytes
{
    private const int Shift = 5;
    private const int Mask = (1 << Shift) - 1;

    private readonly int[] _bytes;
    private readonly long[] _groups;
    private readonly long[] _upper;

    /// <param name="times">Times that it has, each without bytes.</param>
    public TimedBytes(int times)
    {
        _bytes = new int[times];
        _groups = new long[(times + Mask) >> Shift];
        _upper = new long[(_groups.Length + Mask) >> Shift];
    }

    /// <summary>Bytes of its arrays.</summary>
    public long MemoryBytes => (_bytes.Length * (long)sizeof(int)) + ((_groups.Length + _upper.Length) * (long)sizeof(long));

    public int this[int time]
    {
        get => _bytes[time];
        set
        {
            long change = value - _bytes[time];
            _bytes[time] = value;
            _groups[time >> Shift] += change;
            _upper[time >> (2 * Shift)] += change;
        }
    }

    /// <summary>Bytes at all later times.</summary>
    public long SumAfter(int time)
    {
        var sum = 0L;
        var group = time >> Shift;
        var upper = group >> Shift;
        foreach (var bytes in _bytes.AsSpan((time + 1)..Math.Min((group + 1) << Shift, _bytes.Length)))
        {
            sum += bytes;
        }

        foreach (var bytes in _groups.AsSpan((group + 1)..Math.Min((upper + 1) << Shift, _groups.Length)))
        {
            sum += bytes;
        }

        foreach (var bytes in _upper.AsSpan(upper + 1))
        {
            sum += bytes;
        }

        return sum;
    }
}
