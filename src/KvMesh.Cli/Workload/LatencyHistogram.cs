using System.Numerics;

namespace KvMesh.Cli.Workload;

/// <summary>
/// Counts latencies in buckets that are 3 % wide, from nanoseconds to hours, without allocating. One thread records; any
/// thread may merge and read, and sees figures that lag by a few records.
/// </summary>
internal sealed class LatencyHistogram
{
    private const int StepBits = 5;
    private const int Steps = 1 << StepBits;

    private readonly long[] _counts = new long[(64 - StepBits + 1) * Steps];
    private long _count;
    private long _maxNanoseconds;

    public long Count => Volatile.Read(ref _count);

    public TimeSpan Max => FromNanoseconds(Volatile.Read(ref _maxNanoseconds));

    public void Record(TimeSpan latency)
    {
        var nanoseconds = Math.Max(0, latency.Ticks) * TimeSpan.NanosecondsPerTick;
        _counts[IndexOf((ulong)nanoseconds)]++;
        _maxNanoseconds = Math.Max(_maxNanoseconds, nanoseconds);
        Volatile.Write(ref _count, _count + 1);
    }

    public void Merge(LatencyHistogram other)
    {
        for (var i = 0; i < _counts.Length; i++)
        {
            _counts[i] += other._counts[i];
        }

        _count += other.Count;
        _maxNanoseconds = Math.Max(_maxNanoseconds, Volatile.Read(ref other._maxNanoseconds));
    }

    /// <summary>The smallest bucket bound that <paramref name="percentile"/> percent of the latencies do not exceed; zero when there are none.</summary>
    public TimeSpan Percentile(double percentile)
    {
        var wanted = Math.Max(1, (long)Math.Ceiling(Count * percentile / 100));
        long seen = 0;
        for (var i = 0; i < _counts.Length && Count > 0; i++)
        {
            seen += _counts[i];
            if (seen >= wanted)
            {
                return FromNanoseconds(Math.Min(UpperBound(i), Volatile.Read(ref _maxNanoseconds)));
            }
        }

        return Max;
    }

    public static LatencyHistogram Sum(IEnumerable<LatencyHistogram> parts)
    {
        var sum = new LatencyHistogram();
        foreach (var part in parts)
        {
            sum.Merge(part);
        }

        return sum;
    }

    private static int IndexOf(ulong nanoseconds)
    {
        var shift = Math.Max(0, 63 - BitOperations.LeadingZeroCount(nanoseconds | 1) - StepBits);
        return (shift * Steps) + (int)(nanoseconds >> shift);
    }

    private static long UpperBound(int index)
    {
        var shift = Math.Max(0, (index / Steps) - 1);
        return (long)((((ulong)(index - (shift * Steps)) + 1) << shift) - 1);
    }

    private static TimeSpan FromNanoseconds(long nanoseconds) => TimeSpan.FromTicks(nanoseconds / TimeSpan.NanosecondsPerTick);
}
