namespace KvMesh.Cluster.Removals;

/// <content>What outlives the process, and what is logged when the store is silent.</content>
public sealed partial class Removals
{
    private bool _isSilent;
    private readonly Lock _saveLock = new();

    private void Remember(RemovalState? state)
    {
        if (state is null)
        {
            return;
        }

        if (ReferenceEquals(state, RemovalState.Lost))
        {
            LogForgot();
            Interlocked.Increment(ref Figures.DropCount);
            _target.DropEverything();
            Save();
            return;
        }

        (_lineage, _edition, _mark, _missing) = (state.Lineage, state.Edition, state.Mark, state.Missing);
        _applied = _mark;
        _purges.Floor = state.PurgeFloor;
        _tombstones.ForgetUpTo(_mark);
        foreach (var purge in state.Purges)
        {
            _purges.End(purge.Scope, purge.Number);
        }

        foreach (var scope in state.UntoldPurges)
        {
            _outbox.Add(scope);
        }

        foreach (var key in state.UntoldKeys)
        {
            _outbox.Add(key.Tenant, key.Key.Span);
        }

        if (!_outbox.IsEmpty)
        {
            Wake();
        }
    }

    private void Save()
    {
        lock (_saveLock)
        {
            _memory.Save(new RemovalState(
                _lineage, _edition, _mark, _missing, _purges.Floor, _purges.All(), _outbox.UntoldPurges(), _outbox.UntoldKeys()));
        }
    }

    private void NoteAnswer()
    {
        Volatile.Write(ref _lastProblem, "");
        if (_isSilent)
        {
            // What had been remembered as untold is told.
            _isSilent = false;
            Save();
        }
    }

    private void NoteSilence(Exception exception, CancellationToken cancellationToken)
    {
        var reason = exception is OperationCanceledException ? $"{_log.Description} did not answer in time." : exception.Message;
        Volatile.Write(ref _lastProblem, reason);
        if (!_isSilent && !_outbox.IsEmpty && !cancellationToken.IsCancellationRequested)
        {
            LogUntold(Untold, reason);
        }

        _isSilent = true;
        if (!_outbox.IsEmpty)
        {
            Save();
        }
    }
}
