using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>
/// While this node drains, looks again and again which of its blocks no node that stays holds, by the block map, and puts them into runs for the scheduler.
/// The node is drained when a look that began after everything else found none. What an operator asked for outlives a restart
/// (<see cref="IDrainMemory"/>); what a stop asks for does not. Any thread.
/// </summary>
public sealed class DrainMonitor : IAsyncDisposable
{
    /// <summary>Runs that are offered at a time; what does not fit comes when they are gone.</summary>
    public const int MaxRuns = 64;

    private const string Forgetful = "Its data directory cannot be written, so a restart would not know of this.";

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LookLimit = TimeSpan.FromSeconds(1);

    private readonly INodeBlocks _blocks;
    private readonly IBlockLocator _locator;
    private readonly IClusterViews _views;
    private readonly Action<NodeState> _setState;
    private readonly IDrainMemory _memory;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly Lock _memoryLock = new();
    private readonly CancellationTokenSource _stopping = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _looking = Task.CompletedTask;
    private DrainAnswer _answer = new();
    private IReadOnlyList<LeavingRun> _runs = [];
    private volatile bool _isForgetful;

    /// <param name="setState">Tells the cluster that this node drains, or no longer does.</param>
    public DrainMonitor(
        INodeBlocks blocks, IBlockLocator locator, IClusterViews views, Action<NodeState> setState, IDrainMemory memory, TimeProvider time)
    {
        _blocks = blocks;
        _locator = locator;
        _views = views;
        _setState = setState;
        _memory = memory;
        _time = time;
    }

    /// <summary>How far it is now.</summary>
    public DrainAnswer Answer
    {
        get
        {
            lock (_lock)
            {
                return _answer;
            }
        }
    }

    /// <summary>Whether somebody is there who could take blocks.</summary>
    public bool HasTakers => _views.Current.Nodes.Any(node => node.Id != _views.Self && node.State == NodeState.Active);

    public LeavingRun RunAt(int index)
    {
        lock (_lock)
        {
            return index < _runs.Count ? _runs[index] : LeavingRun.None;
        }
    }

    /// <summary>Goes on with the drain that a run before was asked for. Before the node joins, so that nobody takes it for one that takes blocks. False: there was none.</summary>
    public bool Resume()
    {
        if (_memory.Load() is not { } since)
        {
            return false;
        }

        Begin(since);
        return true;
    }

    /// <summary>Begins, as an operator asked; again: changes nothing.</summary>
    public DrainAnswer Begin()
    {
        lock (_memoryLock)
        {
            var since = _memory.Load();
            _isForgetful = since is null && !_memory.Save(since = _time.GetUtcNow());
            return Begin(since.Value);
        }
    }

    /// <summary>Begins because the node stops: the next run knows nothing of it.</summary>
    public void BeginLeaving() => Begin(_time.GetUtcNow());

    /// <summary>Takes the drain back.</summary>
    public DrainAnswer End()
    {
        lock (_memoryLock)
        {
            _isForgetful = !_memory.Save(null);
            lock (_lock)
            {
                _answer = new DrainAnswer { Message = _isForgetful ? Forgetful : "" };
                _runs = [];
            }

            _setState(NodeState.Active);
            return Answer;
        }
    }

    /// <summary>Waits until the node is drained, nobody is there to take its blocks, or the drain was taken back. False: not within the limit.</summary>
    public async Task<bool> WaitAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var startedAt = _time.GetTimestamp();
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (_answer.State != DrainAnswer.Draining || !HasTakers)
                {
                    return true;
                }

                changed = _changed.Task;
            }

            var left = limit - _time.GetElapsedTime(startedAt);
            if (left <= TimeSpan.Zero)
            {
                return false;
            }

            await Task.WhenAny(changed, Task.Delay(left < Pause ? left : Pause, _time, cancellationToken)).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    /// <summary>Blocks that were here when the look began, and those of them that nobody who stays holds.</summary>
    internal (DrainAnswer Answer, IReadOnlyList<LeavingRun> Runs) Look()
    {
        var staying = _views.Current.Nodes.Where(node => node.State == NodeState.Active && node.Id != _views.Self).Select(node => node.Id).ToHashSet();
        var runs = new LeavingRuns(_blocks);
        var (blocks, left, bytesLeft) = (0L, 0L, 0L);
        var page = new List<LocalBlock>();
        foreach (var tenant in _blocks.Tenants)
        {
            var cursor = 0L;
            do
            {
                page.Clear();
                cursor = _blocks.Scan(tenant, cursor, page);
                var alone = Alone(tenant, page, staying);
                blocks += page.Count;
                left += alone.Count;
                bytesLeft += alone.Sum(block => block.Bytes);
                runs.Add(tenant, alone);
            }
            while (cursor != 0 && !_stopping.IsCancellationRequested);
        }

        var built = runs.Build(MaxRuns, keys => Alone(keys.Tenant, keys.Blocks, staying));
        var message = left > 0 && staying.Count == 0 ? "No other node takes blocks." : _isForgetful ? Forgetful : "";
        return (new DrainAnswer { State = left == 0 ? DrainAnswer.Drained : DrainAnswer.Draining, Runs = built.Count, Blocks = blocks, BlocksLeft = left, BytesLeft = bytesLeft, Message = message }, built);
    }

    private DrainAnswer Begin(DateTimeOffset since)
    {
        lock (_lock)
        {
            if (_answer.State == DrainAnswer.Active)
            {
                _answer = new DrainAnswer { State = DrainAnswer.Draining, Since = since.ToUnixTimeMilliseconds(), Message = "Looking at its blocks." };
                _looking = LookOnAsync(_looking, _stopping.Token);
            }
        }

        _setState(NodeState.Draining);
        return Answer;
    }

    private List<LocalBlock> Alone(string tenant, List<LocalBlock> page, HashSet<NodeId> staying)
    {
        var holders = new HolderLists(page.Count);
        _locator.LocateAll(tenant, page.ConvertAll(block => block.Key), holders, LookLimit);
        var alone = new List<LocalBlock>();
        for (var index = 0; index < page.Count; index++)
        {
            if (!IsHeldByOneOf(holders[index], staying))
            {
                alone.Add(page[index]);
            }
        }

        return alone;
    }

    private bool IsHeldByOneOf(ReadOnlySpan<ushort> holders, HashSet<NodeId> nodes)
    {
        foreach (var holder in holders)
        {
            if (_locator.NodeOf(holder) is { } node && nodes.Contains(node.Id))
            {
                return true;
            }
        }

        return false;
    }

    private async Task LookOnAsync(Task before, CancellationToken cancellationToken)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (Answer.State != DrainAnswer.Active && !cancellationToken.IsCancellationRequested)
        {
            var (answer, runs) = await Task.Run(Look, cancellationToken).ConfigureAwait(false);
            lock (_lock)
            {
                if (_answer.State == DrainAnswer.Active)
                {
                    return;
                }

                _answer = answer with { Since = _answer.Since };
                _runs = runs;
                _changed.TrySetResult();
                _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            await Task.Delay(Pause, _time, cancellationToken).ConfigureAwait(false);
        }
    }
}
