namespace KvMesh.Gateway.Telemetry;

/// <summary>A histogram of durations at one moment.</summary>
/// <param name="Buckets">Counts per bucket, shortest first.</param>
/// <param name="SumNanoseconds">Sum of all durations.</param>
public sealed record HistogramCounts(IReadOnlyList<long> Buckets, long SumNanoseconds)
{
    public long Count => Buckets.Sum();

    /// <summary>Upper bounds in seconds that cut the buckets at powers of two, for exposition; the last one is infinite.</summary>
    public static IReadOnlyList<double> ExpositionBounds { get; } =
    [
        .. Enumerable.Range(LogHistogram.FirstOctave, LogHistogram.LastOctave - LogHistogram.FirstOctave + 1).Select(octave => (1L << octave) / 1e9),
        double.PositiveInfinity,
    ];

    /// <summary>Counts of durations at or below each of <see cref="ExpositionBounds"/>.</summary>
    public IReadOnlyList<long> Cumulative()
    {
        var result = new long[ExpositionBounds.Count];
        long total = 0;
        for (int bucket = 0, bound = 0; bucket < Buckets.Count; bucket++)
        {
            total += Buckets[bucket];
            if (bucket % LogHistogram.StepsPerOctave == 0 && bound < result.Length - 1)
            {
                result[bound++] = total;
            }
        }

        result[^1] = total;
        return result;
    }

    /// <summary>What was recorded since <paramref name="earlier"/>.</summary>
    public HistogramCounts Since(HistogramCounts? earlier) =>
        earlier is null
            ? this
            : new HistogramCounts([.. Buckets.Zip(earlier.Buckets, (now, then) => now - then)], SumNanoseconds - earlier.SumNanoseconds);

    /// <summary>Both together.</summary>
    public HistogramCounts Plus(HistogramCounts other) =>
        new([.. Buckets.Zip(other.Buckets, (left, right) => left + right)], SumNanoseconds + other.SumNanoseconds);

    /// <summary>The duration in microseconds that a share of the records stayed below, or null without records.</summary>
    public double? Quantile(double share)
    {
        var count = Count;
        if (count == 0)
        {
            return null;
        }

        var rank = share * count;
        long below = 0;
        for (var bucket = 0; bucket < Buckets.Count; bucket++)
        {
            if (Buckets[bucket] > 0 && below + Buckets[bucket] >= rank)
            {
                var lower = bucket == 0 ? 0 : LogHistogram.UpperBound(bucket - 1);
                var upper = bucket == Buckets.Count - 1 ? lower : LogHistogram.UpperBound(bucket);
                return (lower + ((upper - lower) * ((rank - below) / Buckets[bucket]))) / 1000;
            }

            below += Buckets[bucket];
        }

        return null;
    }
}
