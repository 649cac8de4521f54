using KvMesh.Cluster.Membership;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Removals;

/// <summary>
/// Removals and purges over a cluster. This node's own are written to the log, in the background; those of others are read from it in order
/// and carried out here. In between, nothing that was removed comes back: a node that asks another for a block says what that one must
/// have carried out (<see cref="PullGuard"/>), and one that is behind gives nothing. One loop writes and reads; the rest may be called from any thread.
/// </summary>
public sealed partial class Removals : IAsyncDisposable
{
    /// <summary>How long a change of its place in the log is kept in mind, so that the loss of the store's data costs nobody more.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan ProgressPause = TimeSpan.FromMilliseconds(50);

    private readonly IClusterViews _views;
    private readonly IRemovalLog _log;
    private readonly IRemovalTarget _target;
    private readonly IRemovalMemory _memory;
    private readonly TimeSpan _storeTimeout;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly PurgeNumbers _purges = new();
    private readonly Tombstones _tombstones;
    private readonly RemovalOutbox _outbox;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _turn = new(1);
    private readonly Lock _hintLock = new();
    private TaskCompletionSource _hint = NewHint();
    private Task _loop = Task.CompletedTask;

    /// <param name="storeTimeout">Longest wait for one answer of the log.</param>
    public Removals(
        IClusterViews views, IRemovalLog log, IRemovalTarget target, IRemovalMemory memory, TimeSpan storeTimeout, TimeProvider time, ILoggerFactory loggers)
    {
        ArgumentNullException.ThrowIfNull(log);
        ArgumentNullException.ThrowIfNull(memory);
        _views = views;
        _log = log;
        _target = target;
        _memory = memory;
        _storeTimeout = storeTimeout;
        _time = time;
        _logger = loggers.CreateLogger<Removals>();
        _tombstones = new Tombstones(time);
        _outbox = new RemovalOutbox(_tombstones);
        Remember(memory.Load());
        log.Changed += Wake;
    }

    /// <summary>Removals and purges that the others have not been told.</summary>
    public int Untold => _outbox.Keys + _outbox.Purges;

    /// <summary>Number of the last entry of the log that this node has carried out.</summary>
    public long Applied => Volatile.Read(ref _applied);

    /// <summary>Figures for operators and metrics.</summary>
    public RemovalFigures Figures { get; } = new();

    /// <summary>Reads what this node missed, before it serves anybody. False: the log did not answer in time.</summary>
    public async Task<bool> CatchUpAsync(TimeSpan patience, int tries, CancellationToken cancellationToken)
    {
        for (var left = tries; left > 0; left--)
        {
            if (await CatchUpAsync(patience, cancellationToken).ConfigureAwait(false))
            {
                return true;
            }
        }

        LogNotCaughtUp(_log.Description);
        return false;
    }

    /// <summary>Tells what waits to be told and reads what was written since. False: the store did not answer in time.</summary>
    public async Task<bool> CatchUpAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(patience, _time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        var isDone = await TurnAsync(limit.Token).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return isDone;
    }

    /// <summary>Starts the loop, once.</summary>
    public void Start() => _loop = Task.Run(RunAsync);

    /// <summary>There may be something to read. <paramref name="mark"/> is what membership was told of the log; the same one again is no news.</summary>
    public void Note(string mark)
    {
        if (Interlocked.Exchange(ref _noted, mark) != mark)
        {
            Wake();
        }
    }

    /// <summary>A client removed a block here: the others are told. Nothing is waited for.</summary>
    public void Remove(string tenant, ReadOnlySpan<byte> key)
    {
        _outbox.Add(tenant, key);
        Wake();
    }

    /// <summary>A client purged a scope here: the others are told. Before the blocks go here, so that none of them is taken from another node meanwhile.</summary>
    public void Purge(PurgeScope scope)
    {
        _outbox.Add(scope);
        Save();
        Wake();
    }

    /// <summary>Whether a block may be asked for elsewhere now; if so, what must have been carried out by whoever gives it.</summary>
    public bool MayPull(string tenant, ReadOnlySpan<byte> key, out PullGuard guard)
    {
        guard = default;
        if (_outbox.IsPurging(tenant) || !_tombstones.MayAsk(tenant, key, out var number))
        {
            return false;
        }

        guard = new PullGuard(_purges.Wanted(tenant), Math.Max(number, _tombstones.Forgotten));
        return true;
    }

    /// <summary>Whether this node has carried out what another one wants. If not, it reads the log at once.</summary>
    public bool MayServe(string tenant, PullGuard guard)
    {
        if (Applied >= guard.Removals && _purges.Done(tenant) >= guard.Purges)
        {
            return true;
        }

        Interlocked.Increment(ref Figures.BehindCount);
        Wake();
        return false;
    }

    /// <summary>Whether nothing of a tenant may come from anywhere, because a purge has not been told.</summary>
    public bool IsPurging(string tenant) => _outbox.IsPurging(tenant);

    /// <summary>Whether a key was removed here a moment ago, or not told of: nobody is to be asked for it.</summary>
    public bool IsQuiet(string tenant, ReadOnlySpan<byte> key) => _tombstones.IsQuiet(tenant, key);

    /// <summary>
    /// Number of the last removal or purge that took such a block away, as far as this node knows; 0 none. What a node stored for all of them
    /// before it had come so far (<see cref="Applied"/>) must not be read.
    /// </summary>
    public long LastRemoval(string tenant, string model, string revision, ReadOnlySpan<byte> key) =>
        Math.Max(_purges.Of(tenant, model, revision), _tombstones.NumberOf(tenant, key));

    /// <summary>Waits until every node of the cluster has carried out the purges that this node was asked for, and tells which has not.</summary>
    public async Task<PurgeReport> WaitForPurgesAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        var ticket = _outbox.LastPurge;
        var startedAt = _time.GetTimestamp();
        var nodes = _views.Current.Nodes.Select(node => node.Id).Where(id => id != _views.Self).ToArray();
        var behind = nodes;
        var problem = "";
        while (true)
        {
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                limit.CancelAfter(_storeTimeout);
                if (_outbox.ToldPurge >= ticket)
                {
                    var number = _outbox.ToldNumber;
                    var progress = await _log.ProgressAsync(nodes, limit.Token).ConfigureAwait(false);
                    behind = [.. nodes.Where((_, index) => progress[index] < number)];
                    problem = "";
                }
                else
                {
                    problem = Volatile.Read(ref _lastProblem);
                }
            }
            catch (Exception exception) when (IsSilence(exception, cancellationToken))
            {
                problem = exception.Message;
            }

            var isTold = _outbox.ToldPurge >= ticket;
            if ((isTold && problem.Length == 0 && behind.Length == 0) || _time.GetElapsedTime(startedAt) >= patience)
            {
                return new PurgeReport(nodes.Length + 1, isTold, behind, problem);
            }

            await Task.Delay(ProgressPause, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _log.Changed -= Wake;
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        if (!_outbox.IsEmpty)
        {
            // The loop has ended: one last attempt, and what is left is remembered for the next start.
            await TurnAsync(CancellationToken.None).ConfigureAwait(false);
        }

        Save();
        _stopping.Dispose();
        _turn.Dispose();
    }

    private static TaskCompletionSource NewHint() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static bool IsSilence(Exception exception, CancellationToken cancellationToken) =>
        exception is StoreSilentException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private void Wake()
    {
        lock (_hintLock)
        {
            _hint.TrySetResult();
        }
    }
}

/// <summary>How far a purge has come.</summary>
/// <param name="Nodes">Nodes of the cluster, this one among them.</param>
/// <param name="IsTold">Whether the others can learn of it.</param>
/// <param name="Behind">Those that have not said that they carried it out.</param>
/// <param name="Problem">Why they could not be told or asked; empty: nothing.</param>
public sealed record PurgeReport(int Nodes, bool IsTold, IReadOnlyList<NodeId> Behind, string Problem);

/// <summary>Counts since the process started.</summary>
public sealed class RemovalFigures
{
    internal long ToldCount;
    internal long CarriedOutCount;
    internal long BehindCount;
    internal long DropCount;

    /// <summary>Removals and purges of this node that the others were told.</summary>
    public long Told => Interlocked.Read(ref ToldCount);

    /// <summary>Removals and purges of others that were carried out here.</summary>
    public long CarriedOut => Interlocked.Read(ref CarriedOutCount);

    /// <summary>Reads of others that this node did not answer, because it was behind in the log.</summary>
    public long Behind => Interlocked.Read(ref BehindCount);

    /// <summary>Times that everything went, because too much of the log was missed.</summary>
    public long Drops => Interlocked.Read(ref DropCount);
}
