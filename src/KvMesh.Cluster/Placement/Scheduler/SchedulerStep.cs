using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>One step of a term: ask, look, plan, order, have pins kept. One caller at a time.</summary>
internal sealed class SchedulerStep
{
    private static readonly TimeSpan ShortestMemory = TimeSpan.FromSeconds(10);

    private readonly PlacementScheduler _scheduler;
    private readonly SchedulerTerm _term;
    private readonly HolderMap _holders;
    private readonly TimeProvider _time;
    private readonly NodeTalk _talk;
    private readonly InputCollector _collector;
    private readonly SessionRuns _runs;
    private readonly PinReleases _releases;
    private readonly PinKeeper _pins;
    private readonly LosslessNotices _lossless;
    private readonly OwnTraffic _traffic;
    private readonly OrderDeadlines _deadlines;
    private bool _hasInherited;

    public SchedulerStep(PlacementScheduler scheduler, SchedulerTerm term, HolderMap holders, TimeProvider time)
    {
        var parts = scheduler.Parts;
        _scheduler = scheduler;
        _term = term;
        _holders = holders;
        _time = time;
        _talk = scheduler.Talk;
        var chains = new ChainBook(_talk, holders);
        _traffic = new OwnTraffic(time);
        _deadlines = new OrderDeadlines(parts.Options.OrderPatience, time);
        _collector = new InputCollector(_talk, chains, holders, _traffic, parts.Options.ToPlan(parts.RecomputeBytesPerSecond), time);
        _runs = new SessionRuns(chains, parts.Sequences, time, scheduler.NoteUnknown);
        _releases = new PinReleases(_talk, parts.Blocks.Tenants, parts.Options, time);
        _lossless = new LosslessNotices(_talk, time);
        _pins = new PinKeeper(_talk, _releases, parts.Sequences, parts.Options, time, scheduler.NoteFailure);
    }

    /// <summary>False: another scheduler is in office, and this term is over.</summary>
    public async ValueTask<bool> TakeAsync(CancellationToken cancellationToken)
    {
        var view = _scheduler.Parts.Views.Current;
        if (view.IsFrozen || view.Identity is null)
        {
            // Nobody knows who is there: what was ordered goes on, and nothing new is.
            return true;
        }

        using var activity = ClusterActivities.Start("scheduler step");
        _talk.Trim(view);
        await _collector.AskAsync(view, new NodeReportRequest(_term.Token, _term.Book.IsPaused), cancellationToken).ConfigureAwait(false);
        if (_collector.Reports.Values.Any(report => report.HighestToken > _term.Token))
        {
            return false;
        }

        NoteReports(view);
        await FollowAsync(view, cancellationToken).ConfigureAwait(false);
        var sessions = _term.Sessions;
        await sessions.RefreshAsync(_collector.Reports.Values.SelectMany(report => report.Sessions), cancellationToken).ConfigureAwait(false);
        await _runs.UpdateAsync(view, sessions.Sessions, cancellationToken).ConfigureAwait(false);
        if (!await PlanAsync(view, cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        await KeepPinsAsync(view, cancellationToken).ConfigureAwait(false);
        await _lossless.TellAsync(view, sessions.Sessions, HoldingsOf, cancellationToken).ConfigureAwait(false);
        return await _term.Journal.SaveAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Completes when nothing that a step began goes on, once the term has ended.</summary>
    public Task EndAsync() => _pins.EndAsync();

    private void NoteReports(ClusterView view)
    {
        _scheduler.Figures.NoteSilent(view.Nodes.Length - _collector.Reports.Count);
        if (!_hasInherited)
        {
            _hasInherited = true;
            _term.Book.Inherit(_collector.Reports.Values.Any(report => report.WasPaused));
        }
    }

    /// <summary>Asks the targets of open orders how far they are.</summary>
    private async ValueTask FollowAsync(ClusterView view, CancellationToken cancellationToken)
    {
        await NodeTalk.ForEachAsync(
            _term.Book.ListOpen().GroupBy(entry => entry.Order.Target),
            async (orders, stop) =>
            {
                if (view.Find(orders.Key) is not { } node)
                {
                    End(orders, $"{orders.Key} is no longer in the cluster.");
                    return;
                }

                foreach (var some in orders.Chunk(PlacementLimits.MaxProgress))
                {
                    var request = new OrderProgressRequest(_term.Token, Array.ConvertAll(some, entry => entry.Id));
                    var (isAnswered, progress, _) = await _talk.AskAsync(
                        node, own => own.Progress(request), (calls, limit, token) => calls.ProgressAsync(node, request, limit, token), stop).ConfigureAwait(false);
                    if (isAnswered)
                    {
                        Note(some, progress!);
                    }
                }
            },
            cancellationToken).ConfigureAwait(false);
        foreach (var entry in _term.Book.ListOpen())
        {
            if (_deadlines.WhyLost(entry) is { } why)
            {
                Report(entry, OrderState.Failed, entry.MovedBytes, why);
                _deadlines.NoteUnheard(view.Find(entry.Order.Target)!, entry.Id);
            }
        }

        await NodeTalk.ForEachAsync(
            _deadlines.Unheard(view, _term.Book.ListOpen()), (lost, stop) => CancelAsync(lost.Node, lost.Ids, stop), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Tells a node that orders it may still have are over. One that does not answer is told later.</summary>
    private async ValueTask CancelAsync(NodeRecord node, long[] ids, CancellationToken cancellationToken)
    {
        foreach (var id in ids)
        {
            var request = new OrderCancelRequest(_term.Token, id);
            var (isAnswered, _, _) = await _talk.AskAsync(
                node, own => own.Cancel(request), (calls, limit, token) => calls.CancelAsync(node, request, limit, token), cancellationToken).ConfigureAwait(false);
            if (!isAnswered)
            {
                return;
            }

            _deadlines.NoteHeard(node, id);
        }
    }

    private void Note(OrderEntry[] orders, IReadOnlyList<OrderProgress> progress)
    {
        var byId = orders.ToDictionary(entry => entry.Id);
        foreach (var report in progress.Where(report => byId.ContainsKey(report.Id)))
        {
            if (report.State is >= (byte)OrderState.Open and <= (byte)OrderState.Cancelled)
            {
                Report(byId[report.Id], (OrderState)report.State, report.MovedBytes, report.Message);
            }
            else
            {
                Report(byId[report.Id], OrderState.Failed, 0, $"{byId[report.Id].Order.Target} does not know it; it may have started anew.");
            }
        }
    }

    private void End(IEnumerable<OrderEntry> orders, string why)
    {
        foreach (var entry in orders)
        {
            Report(entry, OrderState.Failed, entry.MovedBytes, why);
        }
    }

    private void Report(OrderEntry entry, OrderState state, long movedBytes, string message)
    {
        _traffic.Note(entry.Order, movedBytes - entry.MovedBytes);
        if (movedBytes > entry.MovedBytes || state == OrderState.Done || (state == OrderState.Running && entry.State == OrderState.Open))
        {
            _deadlines.NoteProgress(entry.Order.Target);
        }

        _term.Book.Report(entry.Id, state, movedBytes, message);
        if (state is OrderState.Done or OrderState.Failed)
        {
            _scheduler.Figures.NoteOrder(entry.Order.Kind, state);
        }
    }

    /// <summary>False: the term is over, and nothing was ordered.</summary>
    private async ValueTask<bool> PlanAsync(ClusterView view, CancellationToken cancellationToken)
    {
        var memory = 5 * _scheduler.Parts.Options.Step;
        var open = OpenOrders.Of(_term.Book, _time.GetUtcNow(), memory > ShortestMemory ? memory : ShortestMemory);
        var placed = _term.Sessions.Sessions.Where(session => session.IsPlaced).ToList();
        var input = await _collector.CollectAsync(view, placed, open, cancellationToken).ConfigureAwait(false);
        var startedAt = _time.GetTimestamp();
        var plan = PlacementPlanner.Plan(input);
        _scheduler.Figures.NotePlan(_time.GetElapsedTime(startedAt));
        _term.LastInput = input;
        _term.LastPlan = plan;
        var opened = _term.Book.Open(plan);
        if (opened.Count == 0)
        {
            return true;
        }

        _deadlines.NoteOpened(opened, _term.Book.ListOpen());

        // Written down before anybody carries it out: a follower knows of every order that a node may have.
        if (!await _term.Journal.SaveAsync(cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        await NodeTalk.ForEachAsync(
            opened.GroupBy(entry => entry.Order.Target), (orders, stop) => GiveAsync(view, [.. orders], stop), cancellationToken).ConfigureAwait(false);
        return true;
    }

    private async ValueTask GiveAsync(ClusterView view, OrderEntry[] orders, CancellationToken cancellationToken)
    {
        foreach (var entry in orders)
        {
            _scheduler.Figures.NoteOrder(entry.Order.Kind, OrderState.Open);
            var node = view.Find(entry.Order.Target)!;
            var request = RequestFor(entry);
            var (isAnswered, answer, failure) = await _talk.AskAsync(
                node, own => own.Give(request), (calls, limit, token) => calls.GiveAsync(node, request, limit, token), cancellationToken).ConfigureAwait(false);
            if (!isAnswered || answer.Verdict != OrderVerdict.Taken)
            {
                Report(entry, OrderState.Failed, 0, isAnswered ? Explain(node.Id, answer.Verdict) : failure);
            }
        }
    }

    private OrderGiveRequest RequestFor(OrderEntry entry)
    {
        var order = entry.Order;
        ReadOnlyMemory<byte>[] keys = [.. order.Prefix.Keys.AsSpan().Slice(order.FirstBlock, order.Blocks)];
        var count = PlacementKeys.CountThatFits(keys);
        return new OrderGiveRequest(_term.Token, entry.Id, (byte)order.Kind, order.Prefix.Tenant, keys.Length == count ? keys : keys[..count]);
    }

    private async ValueTask KeepPinsAsync(ClusterView view, CancellationToken cancellationToken)
    {
        var pinned = _term.Sessions.Sessions.Where(session => session.IsPinned).ToList();
        await _releases.ReleaseAsync(_term.Token, view, pinned, _term.Sessions.KnowsPinsOf, cancellationToken).ConfigureAwait(false);
        _pins.Keep(_term.Token, view, pinned, HoldingsOf, cancellationToken);

        var (pending, longest) = _term.Sessions.Pending();
        _scheduler.Figures.NotePins(pending, longest);
    }

    /// <summary>As the plan of this step knew it, which is as new as the map.</summary>
    private ImmutableArray<Holding> HoldingsOf(ChainPrefix run) => _holders.Find(run);

    private static string Explain(NodeId node, OrderVerdict verdict) => verdict switch
    {
        OrderVerdict.StaleToken => $"{node} follows a later scheduler.",
        OrderVerdict.Full => $"{node} has too many orders.",
        _ => $"{node} does not have the tenant.",
    };
}
