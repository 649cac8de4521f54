using System.Collections.Immutable;
using KvMesh.Cluster.Scheduling;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Membership;

/// <summary>
/// Makes this process a member of its cluster and keeps its view. One loop does everything: it joins, beats, reads, decides and
/// publishes. Nothing that the store does or fails to do makes it throw.
/// </summary>
public sealed partial class Membership : IClusterViews, IAsyncDisposable
{
    private readonly IMembershipStore _store;
    private readonly MembershipSeat _seat;
    private readonly MembershipOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly MemberTable _table;
    private readonly ViewFeed _feed = new();
    private readonly BeatPace _pace;
    private readonly OpenQuestion<ClusterIdentity?, ClusterIdentity> _agreeing;
    private readonly OpenQuestion<JoinRequest, JoinReply> _joining;
    private readonly OpenQuestion<BeatRequest, BeatReply> _beating;
    private readonly OpenQuestion<long, BeatOutcome> _renewing;
    private readonly OrderGate _orders;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource<MemberStanding> _firstWord = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private TaskCompletionSource _hint = NewHint();
    private Task _loop = Task.CompletedTask;
    private NodeRecord _record;
    private NodeRecord? _unsent;
    private ClusterIdentity? _identity;
    private StoreMark _seen;
    private StandIn? _standIn;
    private ImmutableHashSet<(NodeId Id, long Incarnation)> _warned = [];
    private bool _isOwnRunKnownDead = true;
    private int _refusals;
    private (long Edition, bool IsFrozen, ClusterIdentity? Identity, NodeRecord? Own) _shown;
    private volatile MemberStanding _standing = new(MemberState.Joining, "The store has not answered yet.", 0);

    /// <param name="orders">Learns the token of the scheduler in office with every beat.</param>
    public Membership(
        IMembershipStore store, MembershipSeat seat, MembershipOptions options, OrderGate orders, TimeProvider time, ILoggerFactory loggers)
    {
        ArgumentNullException.ThrowIfNull(seat);
        _store = store;
        _seat = seat;
        _options = options;
        _orders = orders;
        _time = time;
        _logger = loggers.CreateLogger<Membership>();
        _record = seat.Record;
        _identity = seat.Identity;
        _table = new MemberTable(seat.Record.Id, seat.Record.MinProtocol, seat.Record.MaxProtocol, options, time);
        _pace = new BeatPace(options.HeartbeatInterval, new Random(SeedOf(seat.Record.Id)));
        _agreeing = new OpenQuestion<ClusterIdentity?, ClusterIdentity>(store.AgreeAsync, options.AnswerPatience, time);
        _joining = new OpenQuestion<JoinRequest, JoinReply>(store.JoinAsync, options.AnswerPatience, time);
        _beating = new OpenQuestion<BeatRequest, BeatReply>(store.BeatAsync, options.AnswerPatience, time);
        _renewing = new OpenQuestion<long, BeatOutcome>(
            (incarnation, limit) => store.RenewAsync(seat.Record.Id, incarnation, seat.Owner, limit), options.AnswerPatience, time);
        store.Changed += Wake;
    }

    /// <summary>Told with every heartbeat that was answered where the log of removals stands (<see cref="BeatReply.RemovalMark"/>). Must be quick.</summary>
    public event Action<string>? RemovalsNoted;

    public NodeId Self => _seat.Record.Id;

    public ClusterView Current => _feed.Current;

    /// <summary>What this node says of itself now.</summary>
    public NodeRecord Record
    {
        get
        {
            lock (_lock)
            {
                return _record;
            }
        }
    }

    /// <summary>Whether this node is a member now, and if not why.</summary>
    public MemberStanding Standing => _standing;

    /// <summary>Completes when this node is a member, or the store is silent, or the node that has its id was seen alive.</summary>
    public Task<MemberStanding> FirstWord => _firstWord.Task;

    /// <summary>Figures for operators and metrics.</summary>
    public MembershipFigures Figures { get; } = new();

    public IAsyncEnumerable<ClusterView> WatchAsync(CancellationToken cancellationToken) => _feed.WatchAsync(cancellationToken);

    /// <summary>Starts the loop, once.</summary>
    public void Start() => _loop = Task.Run(RunAsync);

    /// <summary>Changes what this node says of itself; others learn it with the next beat. Its id, incarnation and revision stay membership's.</summary>
    public void Change(Func<NodeRecord, NodeRecord> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        lock (_lock)
        {
            _record = change(_record) with { Id = _record.Id, Incarnation = _record.Incarnation, Revision = _record.Revision + 1 };
            _unsent = _record;
        }

        Wake();
    }

    /// <summary>Says goodbye, so that the others need not notice. The loop ends.</summary>
    public async Task LeaveAsync()
    {
        await StopLoopAsync().ConfigureAwait(false);
        if (_standing.State != MemberState.Member)
        {
            return;
        }

        try
        {
            using var limit = new CancellationTokenSource(_options.StoreTimeout, _time);
            await _store.LeaveAsync(Self, _record.Incarnation, limit.Token).ConfigureAwait(false);
            _standing = new MemberStanding(MemberState.Left, "The node has left.", 0);
        }
        catch (Exception exception) when (IsSilence(exception))
        {
            LogNoGoodbye(exception.Message);
        }
    }

    /// <summary>
    /// Says goodbye for another node, which the operator knows to be gone: it leaves every view at once, however many others are silent.
    /// A node that lives all the same joins again under a new incarnation.
    /// </summary>
    /// <returns>False: it is not in the view, or it is this node.</returns>
    /// <exception cref="StoreSilentException">The store does not answer.</exception>
    public async Task<bool> ForgetAsync(NodeId id, CancellationToken cancellationToken)
    {
        var view = Current;
        if (id == Self || (view.Find(id) ?? view.Incompatible.FirstOrDefault(node => node.Id == id)) is not { } record)
        {
            return false;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_options.StoreTimeout);
        try
        {
            await _store.LeaveAsync(id, record.Incarnation, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new StoreSilentException($"{_store.Description} did not answer in time.");
        }

        LogForgot(id, record.Incarnation);
        Wake();
        return true;
    }

    /// <summary>Ends the loop without a goodbye: a successor goes on under the same id, or the process ends.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopLoopAsync().ConfigureAwait(false);
        _stopping.Dispose();
    }

    /// <summary>One turn of the loop.</summary>
    internal async Task TurnAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var late = new CancellationTokenSource(_options.StoreTimeout, _time);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
            if (_standing.State != MemberState.Member)
            {
                await JoinAsync(isReturn: false, limit.Token).ConfigureAwait(false);
            }

            if (_standing.State != MemberState.Member || await BeatAsync(limit.Token).ConfigureAwait(false))
            {
                Figures.StoreAnswered();
            }

            _refusals = 0;
        }
        catch (Exception exception) when (exception is StoreSilentException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            NoteSilence(exception);
        }

        _table.Decide();
        NoteDecision();
        Publish();
        if (_standing is { State: MemberState.Member } or { IsContested: true } || Figures.StoreFailures > 0)
        {
            _firstWord.TrySetResult(_standing);
        }
    }

    private static bool IsSilence(Exception exception) => exception is StoreSilentException or OperationCanceledException;

    /// <summary>The same for each run of a node, another one for each node.</summary>
    private static int SeedOf(NodeId id)
    {
        var seed = 17;
        foreach (var letter in id.Value)
        {
            seed = unchecked((seed * 31) + letter);
        }

        return seed;
    }

    private static TaskCompletionSource NewHint() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task RunAsync()
    {
        var cancellationToken = _stopping.Token;
        while (!cancellationToken.IsCancellationRequested)
        {
            var startedAt = _time.GetTimestamp();
            try
            {
                await TurnAsync(cancellationToken).ConfigureAwait(false);
            }
#pragma warning disable CA1031 // The root of the loop: a bug in one turn must not end membership.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                if (cancellationToken.IsCancellationRequested)
                {
                    return;
                }

                LogTurnFailed(exception);
            }

            await RestAsync(startedAt, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Waits for the next beat, or for a hint that comes earlier.</summary>
    private async Task RestAsync(long startedAt, CancellationToken cancellationToken)
    {
        var rest = _pace.After(Current.Nodes.Length, _time.GetElapsedTime(startedAt), _refusals);
        await Pause(rest.Least).ConfigureAwait(false);
        Task hint;
        lock (_lock)
        {
            hint = _hint.Task;
        }

        if (rest.Most > rest.Least)
        {
            using var early = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(hint, Task.Delay(rest.Most - rest.Least, _time, early.Token)).ConfigureAwait(false);
            await early.CancelAsync().ConfigureAwait(false);
            await Pause(hint.IsCompleted ? rest.AfterHint : TimeSpan.Zero).ConfigureAwait(false);
        }

        lock (_lock)
        {
            _hint = _hint.Task.IsCompleted ? NewHint() : _hint;
        }

        async Task Pause(TimeSpan time) =>
            await Task.Delay(time, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task StopLoopAsync()
    {
        _store.Changed -= Wake;
        if (!_stopping.IsCancellationRequested)
        {
            await _stopping.CancelAsync().ConfigureAwait(false);
        }

        await _loop.ConfigureAwait(false);
        _agreeing.Close();
        _joining.Close();
        _beating.Close();
        _renewing.Close();
    }

    private void Wake()
    {
        lock (_lock)
        {
            _hint.TrySetResult();
        }
    }

    private void Publish()
    {
        var isMember = _standing.State == MemberState.Member;
        if (_identity is null || (!isMember && Current.Epoch == 0))
        {
            return;
        }

        var own = isMember ? Record : null;
        var shown = (_table.Edition, _table.IsFrozen, _identity, own);
        if (shown == _shown)
        {
            return;
        }

        _shown = shown;
        if (_feed.Publish(_table.ToView(Current.Epoch + 1, _identity, own)))
        {
            NoteIncompatible(Current);
        }
    }
}
