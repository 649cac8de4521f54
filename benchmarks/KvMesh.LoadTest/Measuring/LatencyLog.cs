using System.Diagnostics;

namespace KvMesh.LoadTest.Measuring;

/// <summary>
/// Times of the requests of one worker. Keeps every one up to a bound, later ones in place of random earlier ones, so that
/// percentiles stay those of the whole run.
/// </summary>
internal sealed class LatencyLog(int seed)
{
    private const int MaxKept = 1 << 18;

    private readonly long[] _ticks = new long[MaxKept];
    private readonly Random _random = new(seed);

    public long Count { get; private set; }

    public void Add(long ticks)
    {
        var place = Count < MaxKept ? Count : _random.NextInt64(Count + 1);
        if (place < MaxKept)
        {
            _ticks[place] = ticks;
        }

        Count++;
    }

    /// <summary>Percentiles over several workers, in microseconds; zeros when nothing was timed.</summary>
    public static double[] Percentiles(IEnumerable<LatencyLog> logs, params double[] percentiles)
    {
        long[] all = [.. logs.SelectMany(log => log._ticks.Take((int)Math.Min(log.Count, MaxKept)))];
        Array.Sort(all);
        return
        [
            .. percentiles.Select(percentile => all.Length == 0
                ? 0
                : all[(int)Math.Min(all.Length - 1, percentile * all.Length)] * 1e6 / Stopwatch.Frequency),
        ];
    }
}
