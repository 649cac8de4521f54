using System.Numerics;

namespace KvMesh.Engine.Advice;

/// <summary>
/// How often blocks were asked for, by the bytes that a cache would have needed to have them: a histogram with 32 buckets per doubling, of 4 KiB
/// to 4 PiB. What no cache would have had is in no bucket. One caller at a time.
/// </summary>
internal sealed class ReuseCurve
{
    private const int BucketsPerDoubling = 32;
    private const int LowestPower = 12;
    private const int HighestPower = 52;

    private readonly double[] _uses = new double[(HighestPower - LowestPower) * BucketsPerDoubling];
    private double _reused;

    /// <summary>Estimated touches that were sampled, cold ones included.</summary>
    private double _sampled;

    /// <summary>Touches, exactly.</summary>
    public double Touches { get; private set; }

    /// <summary>Touches that were sampled: what the curve was estimated from.</summary>
    public double SampledTouches { get; private set; }

    /// <summary>Bytes of its histogram.</summary>
    public long MemoryBytes => _uses.Length * (long)sizeof(double);

    /// <summary>Counts touches, sampled or not.</summary>
    public void Count(long touches) => Touches += touches;

    /// <summary>The place in a curve of a touch that a cache of so many bytes would have answered.</summary>
    public static int BucketOf(long bytes) => Math.Min(PositionOf(bytes).Bucket, ((HighestPower - LowestPower) * BucketsPerDoubling) - 1);

    /// <summary>Counts a sampled touch that a cache would have answered.</summary>
    /// <param name="bucket">As <see cref="BucketOf"/> said of the bytes that it would have needed.</param>
    /// <param name="weight">Touches that it stands for: one over the rate of the sample.</param>
    public void AddReuse(int bucket, double weight)
    {
        _uses[bucket] += weight;
        _reused += weight;
        AddCold(weight);
    }

    /// <summary>Counts a sampled touch that none would have answered.</summary>
    /// <param name="weight">As in <see cref="AddReuse"/>.</param>
    public void AddCold(double weight)
    {
        _sampled += weight;
        SampledTouches++;
    }

    /// <summary>Makes all that was counted weigh less.</summary>
    /// <param name="factor">0 to 1.</param>
    public void Age(double factor)
    {
        for (var bucket = 0; bucket < _uses.Length; bucket++)
        {
            _uses[bucket] *= factor;
        }

        _reused *= factor;
        _sampled *= factor;
        Touches *= factor;
        SampledTouches *= factor;
    }

    /// <summary>
    /// Estimated share of touches that an LRU cache of that many bytes answers, 0 to 1; 0 while nothing was asked for. Touches that the sample has
    /// too few or too many of are taken for those of the most used blocks, as SHARDS-adj does.
    /// </summary>
    public double HitRatioAt(double bytes)
    {
        if (Touches <= 0)
        {
            return 0;
        }

        var (bucket, part) = PositionOf(bytes);
        var hits = Touches - _sampled;
        for (var index = 0; index < bucket; index++)
        {
            hits += _uses[index];
        }

        if (bucket < _uses.Length)
        {
            hits += _uses[bucket] * part;
        }

        return bytes <= 0 ? 0 : Math.Clamp(hits / Touches, 0, 1);
    }

    /// <summary>The share that a cache without bounds answers, 0 to 1.</summary>
    public double LargestHitRatio => Touches <= 0 ? 0 : Math.Clamp((Touches - _sampled + _reused) / Touches, 0, 1);

    /// <summary>The bucket that a size falls into, and how much of that bucket lies below it.</summary>
    private static (int Bucket, double Part) PositionOf(double bytes)
    {
        if (bytes < 1L << LowestPower)
        {
            return (0, 0);
        }

        if (bytes >= 1L << HighestPower)
        {
            return ((HighestPower - LowestPower) * BucketsPerDoubling, 0);
        }

        var power = BitOperations.Log2((ulong)bytes);
        var within = ((bytes / (1L << power)) - 1) * BucketsPerDoubling;
        var step = (int)within;
        return (((power - LowestPower) * BucketsPerDoubling) + step, within - step);
    }
}
