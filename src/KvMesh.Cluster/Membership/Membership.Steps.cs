namespace KvMesh.Cluster.Membership;

/// <content>What a turn does.</content>
public sealed partial class Membership
{
    private async Task JoinAsync(bool isReturn, CancellationToken cancellationToken)
    {
        var agreed = await _store.AgreeAsync(_identity, cancellationToken).ConfigureAwait(false);
        NoteIdentity(agreed);
        var record = Record;
        var reply = await _store.JoinAsync(Request(record, isReturn), cancellationToken).ConfigureAwait(false);
        if (!reply.IsJoined)
        {
            NoteHolder(reply.Holder!);
            return;
        }

        lock (_lock)
        {
            _record = _record with { Incarnation = reply.Incarnation };
            _unsent = _record.Revision == record.Revision ? null : _record;
        }

        _standIn = null;
        _isOwnRunKnownDead = false;
        _seen = default;
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
            record with { Incarnation = lowest }, owner, isReturn, isLongSilent ? _standIn!.Mark : null) { MayReplaceOwn = _isOwnRunKnownDead };
    }

    private async Task BeatAsync(CancellationToken cancellationToken)
    {
        NodeRecord? changed;
        lock (_lock)
        {
            changed = _unsent;
        }

        var seen = _table.NeedsEverything ? default : _seen;
        var request = new BeatRequest(Self, _standing.Incarnation, _seat.Owner, changed, _options.SilentAfter, seen);
        var reply = await _store.BeatAsync(request, cancellationToken).ConfigureAwait(false);
        lock (_lock)
        {
            _unsent = ReferenceEquals(_unsent, changed) ? null : _unsent;
        }

        NoteLineage(reply);
        _orders.Observe(reply.SchedulerToken);
        _table.StoreAnswered(reply);
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
        Figures.Fences++;
        var reason = $"The id {Self} was taken by incarnation {holder.Record.Incarnation} at {holder.Record.NativeAddress} on {Machine(holder.Record)}, since {holder.Since:u}.";
        LogFenced(_standing.Incarnation, reason);
        _standing = new MemberStanding(MemberState.Refused, reason, 0);
        _standIn = new StandIn(holder.Mark, _time.GetTimestamp());
    }

    private static string Machine(NodeRecord record) => record.Machine.Length > 0 ? record.Machine : "a machine without a name";

    private void NoteSilence(Exception exception)
    {
        _table.StoreIsSilent();
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
