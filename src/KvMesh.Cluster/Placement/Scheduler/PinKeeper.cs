using System.Collections.Concurrent;
using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Placement;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>
/// Makes pins true: has nodes read the copies back, verify and keep them, counts who does, and tells the sequence. A copy counts while the run of the node that
/// verified it is in the view. Reading back tens of gigabytes takes minutes, so it goes on beside the steps: each step says what is pinned, and workers look after
/// whatever nobody has in hand. A node reads for a few of them at a time; who finds no turn there comes back with a later step. One caller says; any thread works.
/// </summary>
internal sealed class PinKeeper(
    NodeTalk talk, PinReleases releases, ISequenceHost sequences, PlacementServiceOptions options, TimeProvider time, Action<Exception> onFailure)
{
    /// <summary>Bytes that one hold may have read back: a second of a slow machine.</summary>
    private const long BytesPerHold = 256L << 20;

    /// <summary>What reading back is allowed to take beside the deadline of a call.</summary>
    private const double SlowestBytesPerSecond = 64 << 20;

    /// <summary>Reads that one node has to do at a time.</summary>
    private const int HoldsPerNode = 2;

    private readonly ConcurrentDictionary<NodeId, SemaphoreSlim> _turns = new();
    private readonly ConcurrentDictionary<Session, byte> _inHand = new();
    private readonly Lock _lock = new();
    private readonly List<Task> _workers = [];
    private volatile Round? _round;

    /// <summary>Has pins looked after, and waits for none of them.</summary>
    /// <param name="holdings">Who holds a run, as the map says.</param>
    public void Keep(
        long token, ClusterView view, IReadOnlyCollection<Session> pinned, Func<ChainPrefix, ImmutableArray<Holding>> holdings, CancellationToken cancellationToken)
    {
        foreach (var gone in _turns.Keys.Where(node => view.Find(node) is null).ToList())
        {
            _turns.TryRemove(gone, out _);
        }

        var waiting = new ConcurrentQueue<Session>(pinned.Where(session => session.Runs.Count > 0 && !_inHand.ContainsKey(session)));
        _round = new Round(token, view, waiting, holdings);
        lock (_lock)
        {
            _workers.RemoveAll(worker => worker.IsCompleted);
            for (var missing = Math.Min(NodeTalk.Concurrency - _workers.Count, waiting.Count); missing > 0; missing--)
            {
                _workers.Add(Task.Run(() => WorkAsync(cancellationToken), CancellationToken.None));
            }
        }
    }

    /// <summary>Completes when no worker is left, after the token of the last round was cancelled.</summary>
    public Task EndAsync()
    {
        lock (_lock)
        {
            return Task.WhenAll(_workers);
        }
    }

    private async Task WorkAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested && _round is { } round && round.Waiting.TryDequeue(out var session))
        {
            if (!_inHand.TryAdd(session, 0))
            {
                continue;
            }

            try
            {
                await KeepAsync(round, session, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // The root of the work on one pin: the others go on, and this one is looked at again in the next step.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                onFailure(exception);
            }
            finally
            {
                _inHand.TryRemove(session, out _);
            }
        }
    }

    private async ValueTask KeepAsync(Round round, Session session, CancellationToken cancellationToken)
    {
        // The number is that of the pin whose blocks these are: the sequence refuses it when another one is in force by now.
        var (pin, cut) = (session.Info.Pin, session.Cut);
        var runs = cut.Runs;
        if (cut.Of.Pin != pin.Number || runs.Count == 0)
        {
            return;
        }

        var edition = session.Copies.Begin(pin.Number);
        var (copies, isComplete) = (int.MaxValue, true);
        for (var index = 0; index < runs.Count; index++)
        {
            var run = new PinnedRun(session.Copies, edition, index, runs[index]);
            copies = Math.Min(copies, await CountCopiesAsync(round, run, pin.Replicas, cancellationToken).ConfigureAwait(false));
            isComplete &= run.IsComplete;
        }

        // Of blocks that are others by now nothing is said; the next look counts those.
        if (!ReferenceEquals(cut, session.Cut) || session.Copies.Begin(pin.Number) != edition)
        {
            return;
        }

        session.WasCounted |= isComplete;
        copies = Math.Min(copies, (int)pin.Replicas);
        var state = copies >= pin.Replicas ? PinState.Held : PinState.Pending;
        if (state != pin.State || copies != pin.Copies)
        {
            var reply = await sequences.ExecuteAsync(session.Id, new ConfirmPin { Number = pin.Number, Copies = copies }, cancellationToken).ConfigureAwait(false);
            if (reply is { IsOk: true, Info: { } info })
            {
                session.Info = info;
            }
        }
    }

    /// <summary>Copies of one run that are kept by nodes of the view: renewed when they are due, looked for when there are too few.</summary>
    private async ValueTask<int> CountCopiesAsync(Round round, PinnedRun run, int replicas, CancellationToken cancellationToken)
    {
        var kept = run.Copies.Kept(run.Edition, run.Index, round.View);
        var holdings = round.Holdings(run.Run);
        var holders = round.View.Nodes.Where(node => IsWhole(run.Run, holdings, node.Id)).ToList();
        foreach (var node in round.View.Nodes.Where(node => kept.ContainsKey((node.Id, node.Incarnation))))
        {
            // Renewed in time, and looked at again when the map no longer says that all of it is there.
            if (time.GetElapsedTime(kept[(node.Id, node.Incarnation)]) >= options.HoldTime / 3 || !holders.Contains(node))
            {
                await HoldAsync(round, node, run, isRenewal: true, cancellationToken).ConfigureAwait(false);
            }
        }

        var best = holders.OrderBy(node => node.State != NodeState.Active).ThenBy(node => node.Id.Value, StringComparer.Ordinal);
        foreach (var node in best.Where(node => !kept.ContainsKey((node.Id, node.Incarnation))))
        {
            // Copies of a node that is about to leave count, but others are wanted beside them.
            var enough = run.Copies.Kept(run.Edition, run.Index, round.View).Keys.Count(key => round.View.Find(key.Node) is { State: NodeState.Active });
            if (enough >= replicas)
            {
                break;
            }

            await HoldAsync(round, node, run, isRenewal: false, cancellationToken).ConfigureAwait(false);
        }

        // What was said too long ago is no promise any more, whoever said it.
        return run.Copies.Kept(run.Edition, run.Index, round.View).Values.Count(at => time.GetElapsedTime(at) < options.HoldTime);
    }

    private static bool IsWhole(ChainPrefix run, ImmutableArray<Holding> holdings, NodeId node) =>
        holdings.Any(holding => holding.Node == node && holding.FirstBlock == 0 && holding.Blocks >= run.Blocks);

    /// <summary>
    /// Has a node verify and keep a run, a part at a time, and notes what it said when that is known. What is begun goes on with a later step where it ended. A
    /// renewal waits for its turn, since it would run out; others do not.
    /// </summary>
    private async ValueTask HoldAsync(Round round, NodeRecord node, PinnedRun run, bool isRenewal, CancellationToken cancellationToken)
    {
        var holder = (node.Id, node.Incarnation);
        var turns = _turns.GetOrAdd(node.Id, static _ => new SemaphoreSlim(HoldsPerNode));
        var blocksPerCall = (int)Math.Clamp(BytesPerHold / Math.Max(1, run.Run.BytesOf(1)), 1, PlacementLimits.MaxRunBlocks);
        var (first, since) = isRenewal ? (0, time.GetTimestamp()) : run.Copies.Begun(run.Index, holder, options.HoldTime / 3);
        releases.NoteGiven(node, run.Run);
        OrderVerdict? verdict = OrderVerdict.Taken;
        while (first < run.Run.Blocks && verdict == OrderVerdict.Taken)
        {
            if (!await turns.WaitAsync(isRenewal || first > 0 ? Timeout.InfiniteTimeSpan : TimeSpan.Zero, cancellationToken).ConfigureAwait(false))
            {
                run.IsComplete = false;
                return;
            }

            try
            {
                var keys = run.Run.Keys.AsSpan().Slice(first, Math.Min(blocksPerCall, run.Run.Blocks - first)).ToArray();
                verdict = await HoldAsync(round, node, run.Run, keys, cancellationToken).ConfigureAwait(false);
                first += keys.Length;
            }
            finally
            {
                turns.Release();
            }

            if (verdict == OrderVerdict.Taken)
            {
                run.Copies.NoteBegun(run.Edition, run.Index, holder, first, since);
            }
        }

        // Again: what was let go while this was read is kept now, and a pin that ended meanwhile is to let it go.
        releases.NoteGiven(node, run.Run);
        run.IsComplete &= verdict is not null;
        if (verdict is { } said)
        {
            run.Copies.Note(run.Edition, run.Index, holder, said, since);
        }
    }

    /// <summary>Taken: it keeps all of it; null: it did not answer.</summary>
    private async ValueTask<OrderVerdict?> HoldAsync(
        Round round, NodeRecord node, ChainPrefix run, ReadOnlyMemory<byte>[] keys, CancellationToken cancellationToken)
    {
        var request = new HoldRequest(round.Token, options.HoldTime, run.Tenant, keys);
        var extra = TimeSpan.FromSeconds(run.BytesOf(keys.Length) / SlowestBytesPerSecond);
        var (isAnswered, answer, _) = await talk.AskAsync(
            node, own => own.Hold(request), (calls, limit, stop) => calls.HoldAsync(node, request, limit, stop), cancellationToken, extra).ConfigureAwait(false);
        return !isAnswered ? null
            : answer.Verdict == OrderVerdict.Taken && answer.Held != keys.Length ? OrderVerdict.Unknown
            : answer.Verdict;
    }

    /// <summary>What a step knew. Sessions that it names and nobody has begun with are left to the next one.</summary>
    private sealed record Round(long Token, ClusterView View, ConcurrentQueue<Session> Waiting, Func<ChainPrefix, ImmutableArray<Holding>> Holdings);

    private sealed class PinnedRun(PinCopies copies, int edition, int index, ChainPrefix run)
    {
        public PinCopies Copies => copies;

        public int Edition => edition;

        public int Index => index;

        public ChainPrefix Run => run;

        /// <summary>Whether every node that was to be asked in this look has answered.</summary>
        public bool IsComplete { get; set; } = true;
    }
}
