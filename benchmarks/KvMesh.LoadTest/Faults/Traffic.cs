using System.Diagnostics;
using System.Globalization;

namespace KvMesh.LoadTest.Faults;

/// <summary>What became of the calls of a workload.</summary>
/// <param name="Lost">Gets that were under way, or were tried, on a node while that node itself was killed or stopped.</param>
/// <param name="Errors">Calls on living nodes that ended as anything but an answer.</param>
/// <param name="Wrong">Answers that no put, or no step of a sequence, explains.</param>
/// <param name="Steps">Steps of sequences that were acknowledged.</param>
/// <param name="Undecided">Attempts at a step that had to be repeated, under the same request id.</param>
internal readonly record struct TrafficCounts(long Hits, long Misses, long Lost, long Errors, long Wrong, long Puts, long Steps, long Undecided)
{
    public long Gets => Hits + Misses + Lost;

    public double HitRatio => Gets == 0 ? 0 : (double)Hits / Gets;

    public static TrafficCounts operator -(TrafficCounts left, TrafficCounts right) => new(
        left.Hits - right.Hits, left.Misses - right.Misses, left.Lost - right.Lost, left.Errors - right.Errors, left.Wrong - right.Wrong,
        left.Puts - right.Puts, left.Steps - right.Steps, left.Undecided - right.Undecided);
}

/// <summary>Gets of some clients.</summary>
internal readonly record struct GetCounts(long Gets, long Hits)
{
    /// <summary>NaN without gets.</summary>
    public double HitRatio => (double)Hits / Gets;

    public static GetCounts operator +(GetCounts left, GetCounts right) => new(left.Gets + right.Gets, left.Hits + right.Hits);

    public static GetCounts operator -(GetCounts left, GetCounts right) => new(left.Gets - right.Gets, left.Hits - right.Hits);
}

/// <summary>The longest get of a while.</summary>
/// <param name="Node">Who answered.</param>
/// <param name="What">What it was, for whoever wonders.</param>
/// <param name="EndedAt">Timestamp of the answer.</param>
internal readonly record struct SlowGet(TimeSpan Took, string Node, string What, long EndedAt)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Took.TotalMilliseconds:0} ms ({Node})");
}

/// <summary>Counts what callers saw: for all of them together, and gets by the node where the caller is at home, wherever they were answered.</summary>
internal sealed class Traffic
{
    /// <summary>Gets over which the hit ratio of the moment is taken.</summary>
    public const int WindowGets = 300;

    private const int MaxComplaints = 20;

    private readonly Lock _lock = new();
    private readonly bool[] _window = new bool[WindowGets];
    private readonly Dictionary<string, GetCounts> _homes = new(StringComparer.Ordinal);
    private readonly List<string> _complaints = [];
    private TrafficCounts _counts;
    private RecoveryWatch? _watch;
    private SlowGet _slowest;
    private long _gets;
    private int _hitsInWindow;

    public TrafficCounts Counts
    {
        get
        {
            lock (_lock)
            {
                return _counts;
            }
        }
    }

    /// <summary>Hit ratio of the last <see cref="WindowGets"/> gets of all.</summary>
    public double RatioNow
    {
        get
        {
            lock (_lock)
            {
                return (double)_hitsInWindow / Math.Clamp(_gets, 1, WindowGets);
            }
        }
    }

    /// <summary>The first wrong answers and errors, in words.</summary>
    public IReadOnlyList<string> Complaints
    {
        get
        {
            lock (_lock)
            {
                return [.. _complaints];
            }
        }
    }

    /// <summary>Gets of the callers that are at home at one of these nodes, or at none of them.</summary>
    public GetCounts CountsAt(IReadOnlyCollection<string> homes, bool isAtOneOfThem = true)
    {
        lock (_lock)
        {
            return _homes.Where(home => homes.Contains(home.Key) == isAtOneOfThem).Aggregate(default(GetCounts), (sum, home) => sum + home.Value);
        }
    }

    /// <summary>Looks at the gets of these homes from now on. One watch at a time.</summary>
    /// <param name="ratio">Hit ratio at which they count as recovered.</param>
    public RecoveryWatch Watch(IReadOnlyCollection<string> homes, double ratio)
    {
        var watch = new RecoveryWatch(homes, ratio);
        lock (_lock)
        {
            _watch = watch;
        }

        return watch;
    }

    /// <summary>A get that a node answered.</summary>
    /// <param name="home">Where its caller is at home.</param>
    /// <param name="door">How it asked.</param>
    /// <param name="answered">The node that answered, if nothing was done to it meanwhile; else null, and how long it took says nothing.</param>
    public void Answer(string home, string door, bool isHit, TimeSpan took, NodeTarget? answered)
    {
        lock (_lock)
        {
            _counts = isHit ? _counts with { Hits = _counts.Hits + 1 } : _counts with { Misses = _counts.Misses + 1 };
            if (answered is not null && took > _slowest.Took)
            {
                _slowest = new SlowGet(took, answered.Name, $"{door}, {(isHit ? "hit" : "miss")}", Stopwatch.GetTimestamp());
            }

            Slide_NeedsLock(home, isHit);
        }
    }

    /// <summary>A get that went down with its node.</summary>
    public void Lost(string home)
    {
        lock (_lock)
        {
            _counts = _counts with { Lost = _counts.Lost + 1 };
            Slide_NeedsLock(home, isHit: false);
        }
    }

    public void Put() => Change(counts => counts with { Puts = counts.Puts + 1 });

    public void Step() => Change(counts => counts with { Steps = counts.Steps + 1 });

    public void Undecided() => Change(counts => counts with { Undecided = counts.Undecided + 1 });

    public void Error(string what)
    {
        Change(counts => counts with { Errors = counts.Errors + 1 });
        Complain(what);
    }

    public void Wrong(string what)
    {
        Change(counts => counts with { Wrong = counts.Wrong + 1 });
        Complain(what);
    }

    /// <summary>The longest get since the last call that a node answered which nothing was done to.</summary>
    public SlowGet TakeSlowest()
    {
        lock (_lock)
        {
            var slowest = _slowest;
            _slowest = default;
            return slowest;
        }
    }

    private void Slide_NeedsLock(string home, bool isHit)
    {
        ref var place = ref _window[_gets++ % WindowGets];
        _hitsInWindow += (isHit ? 1 : 0) - (place ? 1 : 0);
        place = isHit;
        _homes[home] = _homes.GetValueOrDefault(home) + new GetCounts(1, isHit ? 1 : 0);
        _watch?.Note(home, isHit);
    }

    private void Change(Func<TrafficCounts, TrafficCounts> change)
    {
        lock (_lock)
        {
            _counts = change(_counts);
        }
    }

    private void Complain(string what)
    {
        lock (_lock)
        {
            if (_complaints.Count < MaxComplaints)
            {
                _complaints.Add(what);
            }
        }
    }
}
