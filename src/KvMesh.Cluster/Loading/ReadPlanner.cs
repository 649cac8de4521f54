namespace KvMesh.Cluster.Loading;

/// <summary>
/// Decides for each block of a prefix whether to fetch or to compute it: pure functions of what was measured. Considered are fetching all, computing all, and
/// computing one stretch while the rest is fetched (Cake: the tail, from its end, until both meet; with a head that a fast source has, fetched before), and
/// computing what meets the loaders when nobody plans; in a short prefix then each block the other way. The first to be there wins; of equals the one that
/// computes less.
/// </summary>
public static class ReadPlanner
{
    /// <summary>Places at which a stretch to compute may begin: where other sources hold what follows.</summary>
    private const int MaxStarts = 32;

    /// <summary>Blocks of a prefix in which single blocks are looked at once more: one of many matters little.</summary>
    private const int MaxRefined = 64;

    private const int MaxRefinements = 4;

    /// <summary>Time below which two candidates are equal.</summary>
    private const double Equal = 1e-9;

    /// <summary>The best plan, explained in a span.</summary>
    /// <exception cref="ArgumentException">A value of the input is out of its range.</exception>
    public static ReadPlan Plan(ReadInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        input.Check();
        using var activity = ClusterActivities.Start("plan prefix read");
        var plan = PlanWriter.Write(input, Best(input));
        PlanTrace.Explain(activity, input, plan);
        return plan;
    }

    /// <summary>The plan that fetches everything, however late: what to compare with.</summary>
    public static ReadPlan FetchAll(ReadInput input) => Pure(input, isComputed: false);

    /// <summary>The plan that computes everything.</summary>
    public static ReadPlan ComputeAll(ReadInput input) => Pure(input, isComputed: true);

    private static ReadPlan Pure(ReadInput input, bool isComputed)
    {
        ArgumentNullException.ThrowIfNull(input);
        input.Check();
        return PlanWriter.Write(input, [.. Enumerable.Repeat(isComputed, input.Blocks.Length)]);
    }

    private static bool[] Best(ReadInput input)
    {
        var search = new Search(input);
        search.Try(block => input.Blocks[block].Bytes > 0);
        var computeAll = search.LastTotal;
        search.Try(static _ => false);
        var fetchAll = search.LastTotal;
        var mayFetchAll = search.LastIsInTime;
        foreach (var start in Starts(input))
        {
            search.TryStretches(start);
        }

        var met = MeetForecast.Computed(input);
        search.Try(block => met[block]);
        search.Refine();
        bool IsAsGood(double total) => total - search.BestTotal < input.LeastSaving.TotalSeconds;
        return mayFetchAll && IsAsGood(fetchAll) ? new bool[input.Blocks.Length]
            : IsAsGood(computeAll) ? [.. input.Blocks.Select(block => block.Bytes > 0)]
            : search.Best;
    }

    /// <summary>The first block, and those whose sources are others than the block's before.</summary>
    private static IEnumerable<int> Starts(ReadInput input)
    {
        var blocks = input.Blocks;
        return Enumerable.Range(0, blocks.Length)
            .Where(block => block == 0 || !blocks[block].Sources.AsSpan().SequenceEqual(blocks[block - 1].Sources.AsSpan()))
            .Take(MaxStarts);
    }

    private sealed class Search(ReadInput input)
    {
        private readonly Timetable _times = new(input);
        private int _bestCount;

        public double BestTotal { get; private set; } = double.PositiveInfinity;

        /// <summary>When all blocks of the last candidate are there.</summary>
        public double LastTotal => _times.Total;

        public bool LastIsInTime => _times.IsInTime;

        public bool[] Best { get; } = new bool[input.Blocks.Length];

        public void Try(Func<int, bool> isComputed)
        {
            _times.Fill(isComputed);
            var count = _times.Sources.Count(source => source == PlannedBlock.Computed);
            if (_times.IsInTime && (_times.Total < BestTotal - Equal || (_times.Total <= BestTotal && count < _bestCount)))
            {
                BestTotal = _times.Total;
                _bestCount = count;
                for (var block = 0; block < Best.Length; block++)
                {
                    Best[block] = _times.Sources[block] == PlannedBlock.Computed;
                }
            }
        }

        /// <summary>
        /// Stretches from <paramref name="start"/>: the longer one is, the later its end and the sooner that of the fetches, so the best are on
        /// both sides of where they cross.
        /// </summary>
        public void TryStretches(int start)
        {
            var (low, high) = (start, Best.Length);
            while (low < high)
            {
                var end = (low + high) / 2;
                _times.Fill(block => block >= start && block < end);
                if (_times.FetchEnd <= _times.ComputeEnd && _times.IsInTime)
                {
                    high = end;
                }
                else
                {
                    low = end + 1;
                }
            }

            for (var end = Math.Max(start, low - 2); end <= Math.Min(Best.Length, low + 1); end++)
            {
                var stretch = end;
                Try(block => block >= start && block < stretch);
            }
        }

        /// <summary>Tries each block the other way, again while that helps.</summary>
        public void Refine()
        {
            var before = double.PositiveInfinity;
            for (var round = 0; round < MaxRefinements && Best.Length <= MaxRefined && BestTotal < before; round++)
            {
                before = BestTotal;
                for (var other = 0; other < Best.Length; other++)
                {
                    var turned = other;
                    Try(block => Best[block] != (block == turned));
                }
            }
        }
    }
}
