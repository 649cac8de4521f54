namespace KvMesh.Engine.Tests.Advice;

/// <summary>The exact curve of a sequence of touches: for each, the bytes of all blocks used since its last use. It keeps every touch.</summary>
internal sealed class ExactReuse(int touches)
{
    private readonly long[] _tree = new long[touches + 1];
    private readonly Dictionary<ulong, int> _last = [];
    private readonly List<long> _distances = [];
    private int _now;

    public long DistinctBytes { get; private set; }

    public void Touch(ulong key, int bytes)
    {
        if (_last.TryGetValue(key, out var last))
        {
            _distances.Add(DistinctBytes - SumBefore(last));
            Add(last, -bytes);
        }
        else
        {
            DistinctBytes += bytes;
        }

        Add(_now, bytes);
        _last[key] = _now++;
    }

    public double HitRatioAt(double bytes) => _distances.Count(distance => distance <= bytes) / (double)_now;

    private void Add(int time, long bytes)
    {
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
