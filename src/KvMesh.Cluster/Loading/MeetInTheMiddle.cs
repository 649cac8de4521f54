namespace KvMesh.Cluster.Loading;

/// <summary>What a worker does next.</summary>
public enum FrontStep
{
    /// <summary>Compute the block.</summary>
    Compute,

    /// <summary>Wait: the next block is being fetched, and the plan leaves it to that.</summary>
    Wait,

    /// <summary>All blocks are there.</summary>
    Done,
}

/// <summary>
/// Carries a read out: one worker and one loader for each source ask it what to do next. Without a plan the worker computes from the front and loaders fetch from
/// the back until they meet, which needs no measured rates: it is never slower than computing all, since the worker never waits, nor than fetching all with the
/// same sources, since they do not either. The block at which they meet may be in both hands; the first that is done wins. Any thread.
/// </summary>
public sealed class MeetInTheMiddle
{
    private readonly Lock _lock = new();
    private readonly bool[] _isPresent;
    private readonly int[] _sources;
    private readonly int[][] _orders;
    private readonly int[] _next;
    private readonly bool _followsPlan;
    private int _front;
    private int _absent;
    private bool _isLoading = true;

    private MeetInTheMiddle(ReadPlan plan, int sources, bool followsPlan)
    {
        _isPresent = new bool[plan.Blocks.Length];
        _absent = plan.Blocks.Length;
        _sources = [.. plan.Blocks.Select(block => block.Source)];
        _orders = [.. Enumerable.Range(0, sources).Select(source => plan.FetchOrder.Where(block => plan.Blocks[block].Source == source).ToArray())];
        _next = new int[sources];
        _followsPlan = followsPlan;
    }

    public bool IsDone
    {
        get
        {
            lock (_lock)
            {
                return _absent == 0;
            }
        }
    }

    /// <summary>Nobody plans: each source fetches what it would if all were fetched, until the worker has it.</summary>
    /// <exception cref="ArgumentException">A value of the input is out of its range.</exception>
    public static MeetInTheMiddle Unplanned(ReadInput input) => new(ReadPlanner.FetchAll(input), input.Sources.Length, followsPlan: false);

    /// <summary>As planned: the worker computes what the plan says and what turned out not to be there.</summary>
    public static MeetInTheMiddle Planned(ReadPlan plan, int sources)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentOutOfRangeException.ThrowIfLessThan(sources, plan.Blocks.Max(block => block.Source) + 1);
        return new MeetInTheMiddle(plan, sources, followsPlan: true);
    }

    /// <summary>The worker's next step; all blocks before the given one are there. It may look at <see cref="IsPresent"/> between layers and drop what came meanwhile.</summary>
    public FrontStep Front(out int block) => Front(1, out block, out _);

    /// <summary>As <see cref="Front(out int)"/>; of blocks to compute, as many as follow each other, at most <paramref name="most"/>, and at least one.</summary>
    public FrontStep Front(int most, out int block, out int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        lock (_lock)
        {
            count = 0;
            while (_front < _isPresent.Length && _isPresent[_front])
            {
                _front++;
            }

            block = _front;
            if (_absent == 0)
            {
                return FrontStep.Done;
            }

            while (count < most && block + count < _isPresent.Length && !_isPresent[block + count] && IsToCompute(block + count))
            {
                count++;
            }

            return count == 0 ? FrontStep.Wait : FrontStep.Compute;
        }
    }

    /// <summary>The next block for the loader of a source. False: there is nothing left for it.</summary>
    public bool TryTakeBack(int source, out int block) => TryTakeBack(source, 1, out block, out _);

    /// <summary>The next blocks for the loader of a source as far as they follow each other in the chain, at most <paramref name="most"/>. False: there is nothing left for it.</summary>
    public bool TryTakeBack(int source, int most, out int first, out int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        lock (_lock)
        {
            (first, count) = (-1, 0);
            var order = _orders[source];
            for (; _isLoading && _next[source] < order.Length && count < most; _next[source]++)
            {
                var block = order[_next[source]];
                if (_isPresent[block] || _sources[block] != source)
                {
                    continue;
                }

                if (count > 0 && block != first - 1 && block != first + count)
                {
                    break;
                }

                first = count == 0 ? block : Math.Min(first, block);
                count++;
            }

            return count > 0;
        }
    }

    public bool IsPresent(int block)
    {
        lock (_lock)
        {
            return _isPresent[block];
        }
    }

    /// <summary>Whether the worker computes the block when it comes to it.</summary>
    public bool IsToCompute(int block)
    {
        lock (_lock)
        {
            return !_followsPlan || !_isLoading || _sources[block] == PlannedBlock.Computed;
        }
    }

    /// <summary>A block is there. False: it was before, and these bytes are not needed.</summary>
    public bool Complete(int block)
    {
        lock (_lock)
        {
            if (_isPresent[block])
            {
                return false;
            }

            _isPresent[block] = true;
            _absent--;
            return true;
        }
    }

    /// <summary>A source did not have a block, or not in time: the worker computes it.</summary>
    public void Missed(int block)
    {
        lock (_lock)
        {
            _sources[block] = PlannedBlock.Computed;
        }
    }

    /// <summary>The deadline is over: nothing more is fetched, and the worker computes what is missing.</summary>
    public void StopLoading()
    {
        lock (_lock)
        {
            _isLoading = false;
        }
    }

}
