using KvMesh.Engine.Blocks;

namespace KvMesh.Engine.Advice;

/// <summary>
/// Watches what is asked of one arena and estimates what caches of other sizes would have answered. Blocks of all its tenants are in one order, as they share
/// the arena; what is asked is counted per tenant. Every member may be called from any thread: a touch that is not sampled costs a hash and a
/// count, and only a sampled one takes the lock.
/// </summary>
internal sealed class CapacityAdvisor
{
    /// <summary>
    /// Blocks in the sample at most: 584 KiB. The curve of all tenants is within a point of hit ratio on average where so many are sampled, not of working sets of which
    /// <see cref="ReuseSample.DearBlocks"/> are, and not each tenant's own, which says its margin: `LoadTest advice` measures both.
    /// </summary>
    public const int SampleBlocks = 16_384;

    /// <summary>Curves of their own that tenants of an arena get; all others share one more. They take 10 KiB each.</summary>
    public const int MaxTenantCurves = 64;

    /// <summary>Over the root of the touches that a curve was made from, this is above its mean error in nine of ten cases: measured on generated traces of 1 to 20 tenants.</summary>
    private const double MarginOfOneTouch = 2;

    /// <summary>Sampled keys of a run that one turn under the lock counts at most.</summary>
    private const int GatheredKeys = 64;

    /// <summary>Time after which a touch weighs half.</summary>
    public static readonly TimeSpan HalfLife = TimeSpan.FromHours(1);

    private static readonly TimeSpan AgingInterval = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly ReuseSample _sample;
    private readonly List<TenantReuse> _tenants = [];
    private readonly ReuseCurve _all = new();
    private long _agedAt;

    public CapacityAdvisor(TimeProvider time, int sampleBlocks = SampleBlocks, int dearBlocks = ReuseSample.DearBlocks)
    {
        _time = time;
        _agedAt = time.GetTimestamp();
        _sample = new ReuseSample(sampleBlocks, dearBlocks);
    }

    /// <summary>Bytes of its arrays.</summary>
    public long MemoryBytes
    {
        get
        {
            lock (_lock)
            {
                return _sample.MemoryBytes + _all.MemoryBytes + _tenants.Sum(tenant => tenant.Curve.MemoryBytes);
            }
        }
    }

    /// <summary>The place where touches of one more tenant are counted: its own, while there is room.</summary>
    public TenantReuse Join()
    {
        lock (_lock)
        {
            if (_tenants.Count <= MaxTenantCurves)
            {
                _tenants.Add(new TenantReuse { IsShared = _tenants.Count == MaxTenantCurves });
            }

            return _tenants[^1];
        }
    }

    /// <summary>Somebody looked whether a block is here.</summary>
    /// <param name="bytesHere">
    /// Its bytes, if it is here, else 0. A block that is here and was stored before the advisor watched is a hit of unknown age, and is known from then on.
    /// </param>
    public void Touch(TenantReuse tenant, ulong hash, int bytesHere = 0)
    {
        tenant.NoteLookup();
        Count(tenant, hash, bytesHere);
    }

    /// <summary>
    /// A block was read. Engines look first which blocks are here and then read those: of a tenant that does, reads are no second use. They count for tenants that only read.
    /// </summary>
    /// <param name="bytesHere">As of <see cref="Touch(TenantReuse, ulong, int)"/>.</param>
    public void Read(TenantReuse tenant, ulong hash, int bytesHere = 0)
    {
        if (!tenant.LooksFirst)
        {
            Count(tenant, hash, bytesHere);
        }
    }

    /// <summary>The blocks of a run were asked for. The last of them counts as used first, as it leaves first.</summary>
    /// <param name="scope">As <see cref="KeyHash.OfScope"/> gave it.</param>
    /// <param name="found">How many are here, from the first on.</param>
    /// <param name="bytesHere">Bytes of one of them.</param>
    public void Touch(TenantReuse tenant, ulong scope, KeyRun keys, int found, int bytesHere)
    {
        tenant.NoteLookup();
        Interlocked.Add(ref tenant.Uncounted, keys.Count);
        TouchSampled(tenant, scope, keys, found, keys.Count, 0);
        TouchSampled(tenant, scope, keys, 0, found, bytesHere);
    }

    /// <summary>A block was stored.</summary>
    public void Place(ulong hash, int bytes)
    {
        if (_sample.IsSampled(hash))
        {
            lock (_lock)
            {
                _sample.Place(hash, bytes);
            }
        }
    }

    /// <summary>A block was removed by its owner.</summary>
    public void Forget(ulong hash)
    {
        if (_sample.IsSampled(hash))
        {
            lock (_lock)
            {
                _sample.Forget(hash);
            }
        }
    }

    /// <summary>What caches of these sizes answer of what all tenants of the arena asked for, then of what each place that <see cref="Join"/> gave did.</summary>
    public ArenaReuse Estimate(ReadOnlySpan<double> cacheBytes)
    {
        lock (_lock)
        {
            FoldNeedsLock();
            var tenants = new Dictionary<TenantReuse, ReuseEstimate>();
            foreach (var tenant in _tenants)
            {
                tenants[tenant] = EstimateNeedsLock(tenant.Curve, cacheBytes);
            }

            return new ArenaReuse(_sample.Rate, _sample.Count, EstimateNeedsLock(_all, cacheBytes), tenants);
        }
    }

    private ReuseEstimate EstimateNeedsLock(ReuseCurve curve, ReadOnlySpan<double> cacheBytes)
    {
        var ratios = new double[cacheBytes.Length];
        for (var index = 0; index < ratios.Length; index++)
        {
            ratios[index] = curve.HitRatioAt(cacheBytes[index]);
        }

        return new ReuseEstimate(curve.Touches, curve.SampledTouches, MarginOf(_sample.Rate, curve.SampledTouches), ratios, curve.LargestHitRatio);
    }

    /// <summary>How far an estimate may be off, as a share of what was asked; 0 while every block is in the sample, and 1 where nothing is known.</summary>
    public static double MarginOf(double rate, double sampledTouches) => rate >= 1 ? 0 : Math.Min(1, MarginOfOneTouch / Math.Sqrt(sampledTouches));

    private void Count(TenantReuse tenant, ulong hash, int bytesHere)
    {
        Interlocked.Increment(ref tenant.Uncounted);
        if (_sample.IsSampled(hash))
        {
            TouchSampled(tenant, [hash], bytesHere);
        }
    }

    /// <summary>The last keys first. Those that are sampled are gathered, so that a run takes the lock a few times at most, and never while it hashes.</summary>
    private void TouchSampled(TenantReuse tenant, ulong scope, KeyRun keys, int from, int to, int bytesHere)
    {
        Span<ulong> sampled = stackalloc ulong[GatheredKeys];
        var count = 0;
        for (var index = to - 1; index >= from; index--)
        {
            var hash = KeyHash.Of(scope, keys.Hash(index));
            if (_sample.IsSampled(hash))
            {
                sampled[count++] = hash;
            }

            if (count == sampled.Length || (index == from && count > 0))
            {
                TouchSampled(tenant, sampled[..count], bytesHere);
                count = 0;
            }
        }
    }

    private void TouchSampled(TenantReuse tenant, ReadOnlySpan<ulong> hashes, int bytesHere)
    {
        lock (_lock)
        {
            AgeNeedsLock();
            foreach (var hash in hashes)
            {
                // The limit may have been lowered since; a weight of the new rate would be too much for what is above it.
                if (_sample.IsSampled(hash))
                {
                    TouchNeedsLock(tenant, hash, bytesHere);
                }
            }
        }
    }

    private void TouchNeedsLock(TenantReuse tenant, ulong hash, int bytesHere)
    {
        var weight = _sample.Weight;
        if (_sample.TryTouch(hash, out var bytes))
        {
            var bucket = ReuseCurve.BucketOf(bytes);
            tenant.Curve.AddReuse(bucket, weight);
            _all.AddReuse(bucket, weight);
        }
        else if (bytesHere > 0)
        {
            // In no bucket, so the correction of the count takes it for a hit.
            _sample.Place(hash, bytesHere);
        }
        else
        {
            tenant.Curve.AddCold(weight);
            _all.AddCold(weight);
        }
    }

    private void AgeNeedsLock()
    {
        var passed = _time.GetElapsedTime(_agedAt);
        if (passed < AgingInterval)
        {
            return;
        }

        FoldNeedsLock();
        _agedAt = _time.GetTimestamp();
        var factor = Math.Pow(0.5, passed / HalfLife);
        _all.Age(factor);
        foreach (var tenant in _tenants)
        {
            tenant.Curve.Age(factor);
            tenant.ForgetLookups();
        }
    }

    private void FoldNeedsLock()
    {
        foreach (var tenant in _tenants)
        {
            var touches = Interlocked.Exchange(ref tenant.Uncounted, 0);
            tenant.Curve.Count(touches);
            _all.Count(touches);
        }
    }
}

/// <summary>Where touches of a tenant are counted.</summary>
internal sealed class TenantReuse
{
    /// <summary>Touches that the curve does not have yet. Only ever changed with <see cref="Interlocked"/>.</summary>
    public long Uncounted;

    private volatile bool _looksFirst;

    /// <summary>Whether the tenant looked for blocks before it read them, in this minute.</summary>
    public bool LooksFirst => _looksFirst;

    /// <summary>Whether all tenants without a curve of their own are counted here.</summary>
    public bool IsShared { get; init; }

    /// <summary>Used under the lock of the advisor.</summary>
    public ReuseCurve Curve { get; } = new();

    public void NoteLookup()
    {
        // Nearly always so already: the line stays shared among cores.
        if (!_looksFirst)
        {
            _looksFirst = true;
        }
    }

    public void ForgetLookups() => _looksFirst = false;
}

/// <summary>What one arena would answer.</summary>
/// <param name="Rate">Share of blocks that are sampled, 0 to 1.</param>
/// <param name="SampledBlocks">Blocks in the sample.</param>
internal sealed record ArenaReuse(double Rate, int SampledBlocks, ReuseEstimate All, IReadOnlyDictionary<TenantReuse, ReuseEstimate> Tenants);

/// <summary>What was asked, and how much of it caches answer.</summary>
/// <param name="Touches">Blocks asked for; earlier ones weigh less.</param>
/// <param name="SampledTouches">Those of them that were sampled, weighed alike.</param>
/// <param name="Margin">As <see cref="CapacityAdvisor.MarginOf"/> says.</param>
/// <param name="HitRatios">Share that a cache of each asked size answers, 0 to 1.</param>
/// <param name="LargestHitRatio">Share that a cache without bounds answers, 0 to 1.</param>
internal sealed record ReuseEstimate(double Touches, double SampledTouches, double Margin, IReadOnlyList<double> HitRatios, double LargestHitRatio);
