using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Plans placement while this node holds the scheduler's lease: asks the nodes how they are, plans, gives orders with the lease's token, follows them, and keeps
/// pins true. On every other node it only knows who does. One loop holds the lease; a second one, of each term, takes the steps.
/// </summary>
public sealed partial class PlacementScheduler : IAsyncDisposable
{
    /// <summary>Times that a journal may be silent at the beginning of a term. After that the nodes' word must do: they know whether orders are paused.</summary>
    private const int JournalTries = 3;

    /// <summary>What the blocks of a sequence may take to come, beside the margin: its size is known only when it is looked after.</summary>
    private static readonly TimeSpan LongestPull = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan LongestHoldInterval = TimeSpan.FromSeconds(5);

    private readonly SchedulerParts _parts;
    private readonly ISchedulerLease _lease;
    private readonly IPlacementJournal _journal;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly NodeTalk _talk;
    private readonly HolderMap _holders;
    private readonly CancellationTokenSource _stopping = new();
    private Task _holding = Task.CompletedTask;
    private volatile SchedulerTerm? _term;
    private volatile string? _holder;
    private int _unread;

    public PlacementScheduler(SchedulerParts parts, ISchedulerLease lease, IPlacementJournal journal, TimeProvider time, ILoggerFactory loggers)
    {
        ArgumentNullException.ThrowIfNull(parts);
        _parts = parts;
        _lease = lease;
        _journal = journal;
        _time = time;
        _logger = loggers.CreateLogger<PlacementScheduler>();
        _talk = new NodeTalk(parts.Views.Self, parts.Node, parts.Calls, parts.Options, time);
        _holders = new HolderMap(parts.Views.Self, parts.Locator, parts.Blocks);
    }

    /// <summary>Counts of plans and orders of this node's terms.</summary>
    public SchedulerFigures Figures { get; } = new();

    /// <summary>Whether this node plans now.</summary>
    public bool IsInOffice => _term is not null;

    /// <summary>Who plans, as this node knows it; null: nobody.</summary>
    public NodeId? Holder => IsInOffice ? _parts.Views.Self : _holder is { } name ? NodeId.Parse(name) : null;

    internal SchedulerTerm? Term => _term;

    internal NodeTalk Talk => _talk;

    internal SchedulerParts Parts => _parts;

    /// <summary>Begins to contend for the lease. Once.</summary>
    public void Start() => _holding = Task.Run(() => HoldOnAsync(_stopping.Token));

    /// <summary>Ends the term and gives the lease up, so that another node takes over at once.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _holding.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_term is not null)
        {
            await EndTermAsync().ConfigureAwait(false);
            await _lease.ReleaseAsync(CancellationToken.None).ConfigureAwait(false);
        }

        _stopping.Dispose();
    }

    private async Task HoldOnAsync(CancellationToken cancellationToken)
    {
        var interval = _lease.Duration / 3 < LongestHoldInterval ? _lease.Duration / 3 : LongestHoldInterval;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                // Reckoned from before the question, so that the lease never runs out earlier in the store than here.
                var askedAt = _time.GetTimestamp();
                await NoteAsync(await _lease.HoldAsync(cancellationToken).ConfigureAwait(false), askedAt, cancellationToken).ConfigureAwait(false);
                await Task.Delay(interval, _time, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                LogFailed(exception);
                await Task.Delay(interval, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async ValueTask NoteAsync(LeaseHolding holding, long askedAt, CancellationToken cancellationToken)
    {
        if (holding == LeaseHolding.None)
        {
            // The store is silent: what was held lasts as long as it was promised to.
            if (_term is { } silent && _time.GetElapsedTime(silent.HeldAt) >= _lease.Duration)
            {
                await EndTermAsync().ConfigureAwait(false);
            }

            return;
        }

        _holder = holding.Holder?.Value;
        if (_term is { } term && (!holding.IsHeld || holding.Token != term.Token || term.Running.IsCompleted))
        {
            await EndTermAsync().ConfigureAwait(false);
        }

        if (holding.IsHeld)
        {
            await BeginTermAsync(holding.Token, cancellationToken).ConfigureAwait(false);
            if (_term is { } held)
            {
                held.HeldAt = askedAt;
            }
        }
    }

    private async ValueTask BeginTermAsync(long token, CancellationToken cancellationToken)
    {
        var book = new OrderBook(_time);
        if (_term is not null || !await InheritAsync(book, token, cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        var sessions = new SessionBook(_parts.Sequences, _parts.Blocks.Tenants, _parts.Options.PrefetchMargin + LongestPull, _time);
        var term = new SchedulerTerm(token, book, new TermJournal(_journal, book, Figures, token), sessions, _stopping.Token);
        term.HeldAt = _time.GetTimestamp();
        _term = term;
        LogBegins(token);
        term.Running = Task.Run(() => RunAsync(term), CancellationToken.None);
    }

    /// <summary>Takes over what the schedulers before left. False: not now, and the lease is held on to.</summary>
    private async ValueTask<bool> InheritAsync(OrderBook book, long token, CancellationToken cancellationToken)
    {
        try
        {
            if (await _journal.ReadAsync(token, cancellationToken).ConfigureAwait(false) is not { } page)
            {
                return false;
            }

            _unread = 0;
            if (book.Inherit(page, _parts.Views.Self.Value) is > 0 and var lost)
            {
                Figures.NoteLost(lost);
                LogLost(lost);
            }

            return true;
        }
        catch (StoreSilentException exception)
        {
            if (++_unread < JournalTries)
            {
                return false;
            }

            _unread = 0;
            LogUnread(exception.Message);
            return true;
        }
    }

    private async ValueTask EndTermAsync()
    {
        if (_term is { } term)
        {
            _term = null;
            term.End();
            await term.Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await term.Journal.SaveAsync(CancellationToken.None).ConfigureAwait(false);
            term.Dispose();
            LogEnds(term.Token);
        }
    }

    private async Task RunAsync(SchedulerTerm term)
    {
        var step = new SchedulerStep(this, term, _holders, _time);
        try
        {
            await TakeStepsAsync(step, term).ConfigureAwait(false);
        }
        finally
        {
            term.End();
            await step.EndAsync().ConfigureAwait(false);
        }
    }

    private async Task TakeStepsAsync(SchedulerStep step, SchedulerTerm term)
    {
        using var timer = new PeriodicTimer(_parts.Options.Step, _time);
        while (!term.Ended.IsCancellationRequested)
        {
            try
            {
                if (!await step.TakeAsync(term.Ended).ConfigureAwait(false))
                {
                    LogDeposed(term.Token);
                    return;
                }

                await timer.WaitForNextTickAsync(term.Ended).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (term.Ended.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                NoteFailure(exception);
                await Task.Delay(_parts.Options.Step, _time, term.Ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>A bug, or something that nobody expected, ended a step or the work on a pin.</summary>
    internal void NoteFailure(Exception exception)
    {
        Figures.NoteFailedStep();
        LogStepFailed(exception);
    }

    /// <summary>Nobody can say which blocks a sequence consists of.</summary>
    internal void NoteUnknown(Session session)
    {
        if (session.IsPinned)
        {
            LogUnknown(session.Id, session.Unknown);
        }
    }

    [LoggerMessage(2405, LogLevel.Warning, "The pin of sequence {Id} waits, since its blocks are not known: {Why}")]
    private partial void LogUnknown(SequenceId id, string why);

    [LoggerMessage(2400, LogLevel.Information, "This node plans placement, term {Token}.")]
    private partial void LogBegins(long token);

    [LoggerMessage(2401, LogLevel.Information, "This node no longer plans placement; term {Token} is over.")]
    private partial void LogEnds(long token);

    [LoggerMessage(2405, LogLevel.Warning, "{Count} orders of the scheduler before were open and are closed as lost; what is missing is ordered again.")]
    private partial void LogLost(int count);

    [LoggerMessage(2406, LogLevel.Error, "This node plans placement without knowing what the scheduler before left: {Reason}")]
    private partial void LogUnread(string reason);

    [LoggerMessage(2402, LogLevel.Warning, "A node follows a later scheduler; term {Token} is over.")]
    private partial void LogDeposed(long token);

    [LoggerMessage(2403, LogLevel.Error, "The scheduler's lease could not be looked after; another try follows.")]
    private partial void LogFailed(Exception exception);

    [LoggerMessage(2404, LogLevel.Error, "A step of placement failed; the next one tries again.")]
    private partial void LogStepFailed(Exception exception);
}

/// <summary>What a scheduler works with.</summary>
/// <param name="Node">This node, as the scheduler meets it.</param>
/// <param name="Calls">The other nodes.</param>
/// <param name="RecomputeBytesPerSecond">What engines compute.</param>
public sealed record SchedulerParts(
    IClusterViews Views, IBlockLocator Locator, INodeBlocks Blocks, IPlacementNode Node, IPlacementCalls Calls, ISequenceHost Sequences,
    PlacementServiceOptions Options, double RecomputeBytesPerSecond);
