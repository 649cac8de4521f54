namespace KvMesh.Cluster.Loading;

/// <summary>
/// Works out when each block is there if some are computed and the others fetched. Sources deliver side by side, each one block after the other; the worker
/// computes in chain order, a stretch of blocks in a pass, and a block only when everything before it is there. Reused from candidate to candidate of one plan.
/// </summary>
internal sealed class Timetable
{
    private readonly ReadInput _input;
    private readonly double[] _computeSeconds;
    private readonly double[] _clocks;

    public Timetable(ReadInput input)
    {
        _input = input;
        _clocks = new double[input.Sources.Length];
        _computeSeconds = new double[input.Blocks.Length];
        Sources = new int[input.Blocks.Length];
        Begins = new double[input.Blocks.Length];
        Ends = new double[input.Blocks.Length];
        long position = 0;
        for (var block = 0; block < _computeSeconds.Length; block++)
        {
            var next = position + input.Blocks[block].Tokens;
            _computeSeconds[block] = input.Prefill.Seconds(position, next);
            position = next;
        }
    }

    /// <summary>Source of each block of the last candidate.</summary>
    public int[] Sources { get; }

    public double[] Begins { get; }

    public double[] Ends { get; }

    /// <summary>When all blocks are there; with the pass behind them, if there is one that computes none of them.</summary>
    public double Total { get; private set; }

    /// <summary>When the last computed block is there; 0 when none is computed.</summary>
    public double ComputeEnd { get; private set; }

    /// <summary>When the last fetched block is there; 0 when none is fetched.</summary>
    public double FetchEnd { get; private set; }

    /// <summary>Whether no fetched block comes after the deadline.</summary>
    public bool IsInTime => FetchEnd <= _input.DeadlineSeconds;

    public double ComputeSeconds(int block) => _computeSeconds[block];

    /// <summary>When a source has delivered what the last candidate asks of it.</summary>
    public double ClockOf(int source) => _clocks[source];

    /// <summary>Works out a candidate. Each fetched block goes to the source that has it first.</summary>
    public void Fill(Func<int, bool> isComputed)
    {
        for (var block = 0; block < Sources.Length; block++)
        {
            Sources[block] = isComputed(block) ? PlannedBlock.Computed : 0;
        }

        Fetch();
        Compute();
    }

    /// <summary>Fetched blocks of the last candidate in the order in which sources are asked.</summary>
    public IEnumerable<int> FetchOrder()
    {
        var tail = Tail();
        for (var block = 0; block < tail; block++)
        {
            if (Sources[block] != PlannedBlock.Computed)
            {
                yield return block;
            }
        }

        for (var block = Sources.Length - 1; block >= tail; block--)
        {
            yield return block;
        }
    }

    /// <summary>First of the blocks behind everything that is computed.</summary>
    public int Tail() => Array.LastIndexOf(Sources, PlannedBlock.Computed) + 1;

    private void Fetch()
    {
        for (var source = 0; source < _clocks.Length; source++)
        {
            _clocks[source] = _input.Sources[source].Start;
        }

        FetchEnd = 0;
        foreach (var block in FetchOrder())
        {
            var bytes = _input.Blocks[block].Bytes;
            var best = -1;
            var bestEnd = double.PositiveInfinity;
            foreach (var source in _input.Blocks[block].Sources)
            {
                var end = _clocks[source] + (bytes / _input.Sources[source].BytesPerSecond);
                if (end < bestEnd)
                {
                    (best, bestEnd) = (source, end);
                }
            }

            Sources[block] = best;
            Begins[block] = _clocks[best];
            Ends[block] = _clocks[best] = bestEnd;
            FetchEnd = Math.Max(FetchEnd, bestEnd);
        }
    }

    private void Compute()
    {
        var free = _input.WorkerFreeIn.TotalSeconds;
        var before = 0.0;
        ComputeEnd = 0;
        for (var block = 0; block < Sources.Length; block++)
        {
            if (Sources[block] == PlannedBlock.Computed)
            {
                Begins[block] = Math.Max(free, before);
                var isNewPass = block == 0 || Sources[block - 1] != PlannedBlock.Computed;
                Ends[block] = ComputeEnd = free = Begins[block] + _computeSeconds[block] + (isNewPass ? _input.Prefill.SecondsPerPass : 0);
            }

            before = Math.Max(before, Ends[block]);
        }

        Total = before + (_input.GoesOn && Sources[^1] != PlannedBlock.Computed ? _input.Prefill.SecondsPerPass : 0);
    }
}
