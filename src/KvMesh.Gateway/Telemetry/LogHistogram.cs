using System.Numerics;

namespace KvMesh.Gateway.Telemetry;

/// <summary>
/// Counts of durations in buckets that grow by a quarter of a power of two, from 1 µs to 137 s. Striped over processors, so
/// that threads rarely meet. Readers add the stripes: each bucket is exact, buckets may be a few records apart.
/// </summary>
internal sealed class LogHistogram
{
    /// <summary>Buckets per power of two: a quantile is off by at most a fifth.</summary>
    public const int StepsPerOctave = 4;

    /// <summary>Durations below 2^10 ns share the first bucket.</summary>
    public const int FirstOctave = 10;

    /// <summary>Durations of 2^37 ns and more share the last bucket.</summary>
    public const int LastOctave = 37;

    public const int BucketCount = ((LastOctave - FirstOctave) * StepsPerOctave) + 2;

    // One more slot for the sum, and eight of padding so that stripes never share a cache line.
    private const int StripeLength = BucketCount + 1 + 8;

    private readonly int _stripeMask = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Min(Environment.ProcessorCount, 16)) - 1;
    private readonly long[] _slots;

    public LogHistogram() => _slots = new long[(_stripeMask + 1) * StripeLength];

    public void Record(long nanoseconds, int count)
    {
        var stripe = (Thread.GetCurrentProcessorId() & _stripeMask) * StripeLength;
        Interlocked.Add(ref _slots[stripe + BucketOf(nanoseconds)], count);
        Interlocked.Add(ref _slots[stripe + BucketCount], nanoseconds * count);
    }

    public HistogramCounts Read()
    {
        var buckets = new long[BucketCount];
        long sum = 0;
        for (var stripe = 0; stripe < _slots.Length; stripe += StripeLength)
        {
            for (var i = 0; i < BucketCount; i++)
            {
                buckets[i] += Volatile.Read(ref _slots[stripe + i]);
            }

            sum += Volatile.Read(ref _slots[stripe + BucketCount]);
        }

        return new HistogramCounts(buckets, sum);
    }

    internal static int BucketOf(long nanoseconds)
    {
        if (nanoseconds < 1L << FirstOctave)
        {
            return 0;
        }

        var octave = BitOperations.Log2((ulong)nanoseconds);
        if (octave >= LastOctave)
        {
            return BucketCount - 1;
        }

        var step = (int)(nanoseconds >> (octave - 2)) & (StepsPerOctave - 1);
        return 1 + ((octave - FirstOctave) * StepsPerOctave) + step;
    }

    /// <summary>First duration, in nanoseconds, that is above bucket <paramref name="bucket"/>.</summary>
    internal static long UpperBound(int bucket)
    {
        var (octave, step) = Math.DivRem(bucket, StepsPerOctave);
        return (1L << (FirstOctave + octave)) / StepsPerOctave * (StepsPerOctave + step);
    }
}
