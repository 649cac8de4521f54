using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Removals;

/// <content>What the loop does.</content>
public sealed partial class Removals
{
    /// <summary>Names this run of the node: what it wrote itself is not carried out again.</summary>
    private readonly string _run = Guid.NewGuid().ToString("n")[..12];

    private readonly Queue<(long At, long Mark)> _marks = new();
    private readonly Queue<(long At, RemovedKey Key)> _recent = new();
    private string _lineage = "";
    private string _edition = "";
    private long _mark;
    private long _missing;
    private long _applied;
    private string _noted = "";
    private string _lastProblem = "";
    private bool _hasFollowed;

    private async Task RunAsync()
    {
        var cancellationToken = _stopping.Token;
        while (!cancellationToken.IsCancellationRequested)
        {
            Task hint;
            lock (_hintLock)
            {
                hint = _hint.Task;
            }

            await hint.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            lock (_hintLock)
            {
                _hint = _hint.Task.IsCompleted ? NewHint() : _hint;
            }

            if (cancellationToken.IsCancellationRequested)
            {
                return;
            }

            var pause = ShortestPause;
            if (!await TurnAsync(cancellationToken).ConfigureAwait(false))
            {
                Wake();
                pause = RetryPause;
            }

            // In a large cluster everybody reads less often, so that the store is asked as often a second as in a small one.
            pause = pause > PauseOf(_views.Current.Nodes.Length) ? pause : PauseOf(_views.Current.Nodes.Length);
            await Task.Delay(pause, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static TimeSpan PauseOf(int nodes) => TimeSpan.FromMilliseconds(nodes / 5.0);

    /// <summary>Tells what is to be told and reads what is new. False: the store was silent.</summary>
    private async Task<bool> TurnAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            await TellAsync(cancellationToken).ConfigureAwait(false);
            await FollowAsync(cancellationToken).ConfigureAwait(false);
            NoteAnswer();
            return true;
        }
        catch (Exception exception) when (exception is Membership.StoreSilentException or OperationCanceledException)
        {
            NoteSilence(exception, cancellationToken);
            return false;
        }
#pragma warning disable CA1031 // The root of the loop: a bug in one turn must not end it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogTurnFailed(exception);
            return false;
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task TellAsync(CancellationToken cancellationToken)
    {
        while (_outbox.TryPeekPurge(out var scope))
        {
            var number = await AskAsync(limit => _log.PurgeAsync(scope, _run, Highest(), limit), cancellationToken).ConfigureAwait(false);
            _purges.End(scope, number);
            _outbox.ToldPurgeAs(number);
            Interlocked.Increment(ref Figures.ToldCount);
            LogTold(scope.ToString(), number);
        }

        while (_outbox.TakeKeys() is { Count: > 0 } batch)
        {
            long first;
            try
            {
                first = await AskAsync(limit => _log.RemoveAsync(batch, _run, Highest(), limit), cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                _outbox.NotTold(batch);
                throw;
            }

            _outbox.ToldKeys(batch, first);
            Interlocked.Add(ref Figures.ToldCount, batch.Count);
            foreach (var key in batch)
            {
                _recent.Enqueue((_time.GetTimestamp(), key));
            }
        }

        while (_recent.TryPeek(out var oldest) && (_recent.Count > RemovalLimits.MaxScopes || _time.GetElapsedTime(oldest.At) > Settling * 2))
        {
            _recent.Dequeue();
        }
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var question = new RemovalQuestion(_views.Self, _mark, _lineage, _edition);
            var page = await AskAsync(limit => _log.ReadAsync(question, limit), cancellationToken).ConfigureAwait(false);
            var isLostLife = _lineage.Length > 0 && page.Lineage != _lineage;
            var reached = isLostLife ? SettledMark() : 0;
            if (isLostLife)
            {
                // While this node was away the store may have been started anew with the mesh, as often as it likes.
                LogOtherLife(_hasFollowed ? LogLevel.Warning : LogLevel.Information, _log.Description);
            }

            var isNews = CarryOut(page);
            _hasFollowed = true;
            if (isLostLife)
            {
                await RestoreAsync(page, reached, cancellationToken).ConfigureAwait(false);
            }

            if (!isNews)
            {
                // The question itself has told how far this node has come.
                return;
            }

            Save();
        }
    }

    /// <summary>Carries a page out. False: it held nothing new.</summary>
    private bool CarryOut(RemovalPage page)
    {
        var isNew = _lineage.Length == 0;
        var isOtherLife = page.Lineage != _lineage;
        var hasMissed = !isNew && !isOtherLife && _mark < page.Floor;
        if (isOtherLife)
        {
            _missing = isNew ? long.MaxValue : _mark;
        }

        if (page.Lost > _missing)
        {
            hasMissed = true;
            _missing = page.Lost;
        }

        if (hasMissed)
        {
            DropEverything();
        }

        var isNews = isOtherLife || page.Edition != _edition || hasMissed;
        foreach (var purge in page.Purges)
        {
            isNews |= CarryOut(purge);
        }

        _purges.Floor = Math.Max(_purges.Floor, page.PurgeFloor);
        foreach (var (key, number, origin) in page.Keys)
        {
            isNews = true;
            CarryOut(key, number, origin);
        }

        var mark = page.Keys.Length >= RemovalLimits.MaxKeysPerPage ? page.Keys[^1].Number : page.Last;
        isNews |= mark != _mark;
        if (isNew)
        {
            // What was removed before this node came is not known key by key.
            _tombstones.ForgetUpTo(mark);
        }

        (_lineage, _edition) = (page.Lineage, page.Edition);
        Advance(mark);
        return isNews;
    }

    private bool CarryOut(in NumberedPurge purge)
    {
        if (purge.Number <= _purges.NumberOf(purge.Scope))
        {
            return false;
        }

        _purges.Begin(purge.Scope, purge.Number);
        if (purge.Origin != _run)
        {
            _target.Purge(purge.Scope);
            Interlocked.Increment(ref Figures.CarriedOutCount);
            LogCarriedOut(purge.Scope.ToString(), purge.Number);
        }

        _purges.End(purge.Scope, purge.Number);
        return true;
    }

    private void CarryOut(in RemovedKey key, long number, string origin)
    {
        _tombstones.Note(key, number);
        if (origin != _run)
        {
            _target.Drop(key.Tenant, key.Key.Span);
            Interlocked.Increment(ref Figures.CarriedOutCount);
        }
    }

    private void DropEverything()
    {
        Interlocked.Increment(ref Figures.DropCount);
        LogMissed(_log.Description);
        _target.DropEverything();
    }

    private void Advance(long mark)
    {
        if (mark != _mark)
        {
            _marks.Enqueue((_time.GetTimestamp(), _mark));
            while (_marks.Count > RemovalLimits.MaxScopes || (_marks.TryPeek(out var oldest) && _time.GetElapsedTime(oldest.At) > Settling * 2))
            {
                _marks.Dequeue();
            }
        }

        _mark = mark;
        Volatile.Write(ref _applied, Math.Max(_applied, mark));
    }

    /// <summary>
    /// How far this node had come some seconds ago. What was written since may not have reached the others before the store lost it: it does
    /// not make them drop everything, but is told again by those who wrote it.
    /// </summary>
    private long SettledMark()
    {
        var settled = _mark;
        foreach (var (at, before) in _marks.Reverse())
        {
            if (_time.GetElapsedTime(at) > Settling)
            {
                break;
            }

            settled = before;
        }

        return settled;
    }

    /// <summary>The store began another life: it gets back what this node knows.</summary>
    private async Task RestoreAsync(RemovalPage page, long reached, CancellationToken cancellationToken)
    {
        var known = page.Purges.ToDictionary(purge => purge.Scope, purge => purge.Number);
        var lost = _purges.All().Where(purge => purge.Number > known.GetValueOrDefault(purge.Scope)).ToArray();
        await AskAsync(
            async limit =>
            {
                await _log.RestoreAsync(page.Lineage, lost, reached, limit).ConfigureAwait(false);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
        while (_recent.TryDequeue(out var removed))
        {
            _outbox.Add(removed.Key.Tenant, removed.Key.Key.Span);
        }

        if (!_outbox.IsEmpty)
        {
            Wake();
        }
    }

    private long Highest() => Math.Max(Applied, Math.Max(_tombstones.Forgotten, _purges.Floor));

    private async ValueTask<T> AskAsync<T>(Func<CancellationToken, ValueTask<T>> ask, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(_storeTimeout, _time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        return await ask(limit.Token).ConfigureAwait(false);
    }
}
