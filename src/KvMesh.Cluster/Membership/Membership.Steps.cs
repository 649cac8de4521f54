namespace KvMesh.Cluster.Membership;

/// <content>What a turn does.</content>
public sealed partial class Membership
{
    private async Task JoinAsync(bool isReturn, CancellationToken cancellationToken)
    {
        var agreed = (await _agreeing.AskAsync(() => _identity, cancellationToken).ConfigureAwait(false)).Reply;
        NoteIdentity(agreed);
        var (request, _, reply, isLate) = await _joining.AskAsync(() => Request(Record, isReturn), cancellationToken).ConfigureAwait(false);
        Figures.LateAnswers += isLate ? 1 : 0;
        if (!reply.IsJoined)
        {
            NoteHolder(reply.Holder!);
            return;
        }

        lock (_lock)
        {
            _record = _record with { Incarnation = reply.Incarnation };
            _unsent = _record.Revision == request.Record.Revision ? null : _record;
        }

        _standIn = null;
        _isOwnRunKnownDead = false;
        _standing = new MemberStanding(MemberState.Member, "", reply.Incarnation);
        _seat.Joined?.Invoke(reply.Incarnation, agreed);
        LogJoined(Self, agreed.Name, reply.Incarnation, _store.Description);
    }

    private JoinRequest Request(NodeRecord record, bool isReturn)
    {
        // Only a process that was no member yet may take its data directory's lock as proof that an earlier run is dead: once it was
        // one, a holder with the same owner is the later run.
        var owner = _seat.Owner;
        var isLongSilent = _standIn is { } other && _time.GetElapsedTime(other.FirstSeenAt) >= _options.FailureTime;
        var lowest = isReturn ? record.Incarnation : Math.Max(record.Incarnation, _seat.LastIncarnation) + 1;
        return new JoinRequest(
            record with { Incarnation = lowest }, owner, isReturn, isLongSilent ? _standIn!.Mark : null)
        { MayReplaceOwn = _isOwnRunKnownDead };
    }

    /// <summary>
    /// Beats and reads. While the answer is on its way, which may be long or wait behind others' long ones, the store is told with each turn that this
    /// member lives: so what is slow to read costs nobody its life, and a store that answers that much is not silent.
    /// </summary>
    /// <returns>Whether the answer came.</returns>
    private async Task<bool> BeatAsync(CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var isOpen = _beating.IsOpen;
        var asking = _beating.AskAsync(NextBeat, patience.Token);
        var isRenewed = !await IsSoonAsync(asking, isOpen ? TimeSpan.Zero : RenewAfter, cancellationToken).ConfigureAwait(false)
            && await RenewAsync(asking, cancellationToken).ConfigureAwait(false);
        if (isRenewed)
        {
            await patience.CancelAsync().ConfigureAwait(false);
        }

        try
        {
            await TakeAsync(await asking.ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException) when (isRenewed && _beating.IsOpen && !cancellationToken.IsCancellationRequested)
        {
            _table.StoreLives();
            return false;
        }
    }

    private TimeSpan RenewAfter => _options.HeartbeatInterval < _options.StoreTimeout / 2 ? _options.HeartbeatInterval : _options.StoreTimeout / 2;

    private async Task<bool> IsSoonAsync(Task asking, TimeSpan time, CancellationToken cancellationToken)
    {
        if (!asking.IsCompleted && time > TimeSpan.Zero)
        {
            using var early = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(asking, Task.Delay(time, _time, early.Token)).ConfigureAwait(false);
            await early.CancelAsync().ConfigureAwait(false);
        }

        return asking.IsCompleted;
    }

    /// <summary>Whether the store took a sign of life before it answered what it was asked.</summary>
    private async Task<bool> RenewAsync(Task asking, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var renewing = _renewing.AskAsync(() => _standing.Incarnation, patience.Token);
        if (await Task.WhenAny(asking, renewing).ConfigureAwait(false) == asking)
        {
            await patience.CancelAsync().ConfigureAwait(false);
        }

        try
        {
            await renewing.ConfigureAwait(false);
            return true;
        }
        catch (Exception exception) when (IsSilence(exception))
        {
            // The answer came first, or the store is as silent to this as to what it was asked.
            return false;
        }
        finally
        {
            if (asking.IsCompletedSuccessfully)
            {
                // An answer to this sign of life says nothing of a later one.
                _renewing.Close();
            }
        }
    }

    private async Task TakeAsync(Answered<BeatRequest, BeatReply> answered, CancellationToken cancellationToken)
    {
        var (request, askedAt, reply, isLate) = answered;
        Figures.LateAnswers += isLate ? 1 : 0;
        lock (_lock)
        {
            _unsent = ReferenceEquals(_unsent, request.Changed) ? null : _unsent;
        }

        NoteLineage(reply);
        _orders.Observe(reply.SchedulerToken);
        RemovalsNoted?.Invoke(reply.RemovalMark);
        _table.StoreAnswered(request.Doubted, askedAt, reply);
        _seen = reply.Mark;
        switch (reply.Outcome)
        {
            case BeatOutcome.Fenced:
                NoteFence(reply.Holder!);
                break;
            case BeatOutcome.Unknown:
                LogForgotten(Self, _store.Description);
                await JoinAsync(isReturn: true, cancellationToken).ConfigureAwait(false);
                break;
        }
    }

    /// <summary>A store that was silent may have lost the last that it was told: it is told again who this is.</summary>
    private BeatRequest NextBeat()
    {
        lock (_lock)
        {
            var record = Figures.SilentSince != 0 ? _record : _unsent;
            var seen = _table.NeedsEverything ? default : _seen;
            return new BeatRequest(Self, _standing.Incarnation, _seat.Owner, record, _options.SilentAfter, seen) { Doubted = _table.TakeDoubted() };
        }
    }

    private void NoteIdentity(ClusterIdentity agreed)
    {
        if (_identity is not null && _identity != agreed)
        {
            LogOtherIdentity(_identity.ToString(), agreed.ToString());
        }

        _identity = agreed;
    }

    /// <summary>Another life of the store's data: what it said before means nothing any more.</summary>
    private void NoteLineage(BeatReply reply)
    {
        if (_seen.Lineage is not null && _seen.Lineage != reply.Mark.Lineage)
        {
            LogStoreLostData(_store.Description);
        }
    }

    private void NoteHolder(IdHolder holder)
    {
        var isContested = _standing.IsContested;
        if (_standIn is null || _standIn.Mark != holder.Mark)
        {
            isContested = _standIn?.Mark.Incarnation == holder.Mark.Incarnation;
            _standIn = new StandIn(holder.Mark, _time.GetTimestamp());
        }

        var reason = $"The id {Self} belongs to a node at {holder.Record.NativeAddress} on {Machine(holder.Record)}, since {holder.Since:u}.";
        if (isContested && !_standing.IsContested)
        {
            LogRefused(reason);
        }

        _standing = new MemberStanding(MemberState.Refused, reason, 0, isContested);
    }

    private void NoteFence(IdHolder holder)
    {
        if (IsThisRun(holder))
        {
            NoteDismissal();
            return;
        }

        Figures.Fences++;
        var reason = $"The id {Self} was taken by incarnation {holder.Record.Incarnation} at {holder.Record.NativeAddress} on {Machine(holder.Record)}, since {holder.Since:u}.";
        LogFenced(_standing.Incarnation, reason);
        _standing = new MemberStanding(MemberState.Refused, reason, 0);
        _standIn = new StandIn(holder.Mark, _time.GetTimestamp());
        _joining.Close();
    }

    /// <summary>Whether nobody else has the id: it was given up for this run, by an operator who took it for dead.</summary>
    private bool IsThisRun(IdHolder holder) => holder.Mark.Incarnation == _standing.Incarnation
        && holder.Record.NativeAddress == Record.NativeAddress && holder.Record.Machine == Record.Machine;

    private void NoteDismissal()
    {
        Figures.Dismissals++;
        LogDismissed(_standing.Incarnation, Self);
        _standing = new MemberStanding(MemberState.Joining, "An operator declared this node gone while it lived; it joins again.", 0);
        _standIn = null;
        _joining.Close();
    }

    private static string Machine(NodeRecord record) => record.Machine.Length > 0 ? record.Machine : "a machine without a name";

    private void NoteSilence(Exception exception)
    {
        _table.StoreIsSilent();
        _refusals = _agreeing.IsOpen || _joining.IsOpen || _beating.IsOpen ? 0 : _refusals + 1;
        var reason = exception is StoreSilentException ? exception.Message : $"No answer within {_options.StoreTimeout.TotalSeconds:0.###} s.";
        if (Figures.StoreFailed(_time.GetTimestamp()))
        {
            LogStoreSilent(_store.Description, reason);
        }

        if (_standing.State == MemberState.Joining)
        {
            _standing = new MemberStanding(MemberState.Joining, $"The store at {_store.Description} is silent: {reason}", 0);
        }
    }

    private void NoteDecision()
    {
        foreach (var id in _table.Gone)
        {
            Figures.Departures++;
            LogGone(id);
        }

        if (_table.HeldBack.Length > 0 && !_table.HeldBack.SequenceEqual(Figures.HeldBack))
        {
            LogHeldBack(string.Join(", ", _table.HeldBack));
        }

        Figures.HeldBack = _table.HeldBack;
    }

    private void NoteIncompatible(ClusterView view)
    {
        foreach (var node in view.Incompatible.Where(node => !_warned.Contains((node.Id, node.Incarnation))))
        {
            _warned = _warned.Add((node.Id, node.Incarnation));
            LogIncompatible(node.Id, node.Version, node.MinProtocol, node.MaxProtocol, _seat.Record.MinProtocol, _seat.Record.MaxProtocol);
        }

        _warned = _warned.Intersect(view.Incompatible.Select(node => (node.Id, node.Incarnation)));
    }

    /// <summary>Who has this node's id, and since when its last heartbeat has been the last.</summary>
    private sealed record StandIn(HolderMark Mark, long FirstSeenAt);
}
