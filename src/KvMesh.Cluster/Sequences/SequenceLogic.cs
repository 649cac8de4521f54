using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// Every rule of sequences, as one pure function: no clock, no store, no randomness. Whoever hosts a sequence applies it to the
/// head at hand and writes the result over exactly that version.
/// </summary>
public static partial class SequenceLogic
{
    /// <param name="head">The stored head; null when there is none.</param>
    /// <param name="now">Unix milliseconds.</param>
    /// <param name="rowsId">A number for the rows of a sequence that is created, drawn at random by the host.</param>
    /// <param name="allowance">What the tenant's quota still allows.</param>
    public static SequenceDecision Apply(
        SequenceHead? head, SequenceCommand command, long now, ulong rowsId, SequenceUsage allowance, SequenceRules rules)
    {
        if (rules.Check(command) is { } fault)
        {
            return SequenceDecision.Refuse(SequenceRefusal.Invalid, fault);
        }

        var present = Ended(head, now);
        if (present is not null && FindRepeated(present, command) is { } remembered)
        {
            return remembered.Kind == KindOf(command, remembered.Kind)
                ? SequenceDecision.Repeat(present)
                : SequenceDecision.Refuse(SequenceRefusal.Invalid, $"requestId {command.RequestId:x16} was used for another command; each command needs its own.");
        }

        var decision = Decide(present, command, now, rowsId, rules);
        if (!decision.IsChange)
        {
            return decision;
        }

        var cost = SequenceUsage.Of(decision.Head) - SequenceUsage.Of(head);
        return cost.FitsInto(allowance)
            ? decision.Finish(Next(head, decision.Head!, command, decision.Event!.Value, now), cost)
            : SequenceDecision.OverQuota(cost, Describe(cost, allowance), head);
    }

    /// <summary>The head without what has run out by itself: the whole sequence, or its pin.</summary>
    public static SequenceHead? Ended(SequenceHead? head, long now)
    {
        if (head is null)
        {
            return null;
        }

        if (head.State != SequenceState.Closed && head.EndsAt <= now)
        {
            return head with { State = SequenceState.Closed, ClosedAt = head.EndsAt, Pin = default, PinnedBytes = 0 };
        }

        return head.Pin.State != PinState.None && head.Pin.Until <= now ? head with { Pin = head.Pin with { State = PinState.None }, PinnedBytes = 0 } : head;
    }

    private static SequenceDecision Decide(SequenceHead? head, SequenceCommand command, long now, ulong rowsId, SequenceRules rules) => command switch
    {
        OpenSequence open => Open(head, open, now, rowsId, rules),
        OpenFork fork => OpenFork(head, fork, now, rowsId),
        ReleaseFork release => Release(head, release),
        _ when head is null => SequenceDecision.Refuse(SequenceRefusal.NotFound, "There is no such sequence."),
        _ when head.State == SequenceState.Closed => SequenceDecision.Refuse(SequenceRefusal.Closed, "The sequence was closed, or its time ran out.", head),
        _ when IsStale(head, command) => SequenceDecision.Refuse(
            SequenceRefusal.StaleEpoch, $"epoch is {command.Epoch} and {head.Epoch} is in force, of '{head.Holder}'; resume the sequence to take it.", head),
        AppendSegment append => Append(head, append),
        RetainFork retain => Retain(head, retain),
        PinSequence pin => Pin(head, pin, now),
        ConfirmPin confirm => Confirm(head, confirm),
        ParkSequence park => SequenceDecision.Change(
            head with
            {
                State = SequenceState.Parked,
                Holder = park.NextHolder,
                ReturnAt = park.ReturnAt,
                ParkedAt = head.State == SequenceState.Parked && head.ParkedAt > 0 ? head.ParkedAt : now,
            },
            SequenceEventKind.Parked),
        ResumeSequence resume => SequenceDecision.Change(Wake(head, resume.Holder, now), SequenceEventKind.Resumed),
        CloseSequence => SequenceDecision.Change(
            head with { State = SequenceState.Closed, ClosedAt = now, Pin = default, PinnedBytes = 0, Holder = "", ReturnAt = 0 }, SequenceEventKind.Closed),
        _ => throw new ArgumentException($"{command.GetType().Name} is no command of a single sequence.", nameof(command)),
    };

    /// <summary>The head in other hands; when it was parked, with one rest more.</summary>
    private static SequenceHead Wake(SequenceHead head, string holder, long now) => head with
    {
        State = SequenceState.Active,
        Epoch = NextEpoch(head, now),
        Holder = holder,
        ReturnAt = 0,
        Rests = head is { State: SequenceState.Parked, ParkedAt: > 0 } ? RestTimes.Add(head.Rests, now - head.ParkedAt) : head.Rests,
        ParkedAt = 0,
    };

    /// <summary>An owner must name the epoch in force. Taking needs none, and neither do operators and the scheduler, who name 0.</summary>
    private static bool IsStale(SequenceHead head, SequenceCommand command) => command switch
    {
        AppendSegment => command.Epoch != head.Epoch,
        ResumeSequence => false,
        _ => command.Epoch != 0 && command.Epoch != head.Epoch,
    };

    private static SequenceDecision Append(SequenceHead head, AppendSegment append)
    {
        if (head.State == SequenceState.Parked)
        {
            return SequenceDecision.Refuse(SequenceRefusal.Parked, "The sequence is parked; resume it before it grows.", head);
        }

        if (append.ParentHash != head.LastHash)
        {
            return SequenceDecision.Refuse(SequenceRefusal.WrongParent, $"parentHash is {append.ParentHash}; the last block is {head.LastHash}.", head);
        }

        if (head.Segments == SequenceLimits.MaxSegments || head.Blocks + append.Blocks > SequenceLimits.MaxBlocks)
        {
            return SequenceDecision.Refuse(
                SequenceRefusal.TooLarge, $"The sequence has {head.Segments} segments of {head.Blocks} blocks; the limits are {SequenceLimits.MaxSegments} and {SequenceLimits.MaxBlocks}.", head);
        }

        if ((Int128)head.Bytes + append.Bytes > long.MaxValue / 1024)
        {
            return SequenceDecision.Refuse(SequenceRefusal.TooLarge, $"bytes is {append.Bytes} after {head.Bytes}; the limit is {long.MaxValue / 1024} for a sequence.", head);
        }

        var row = new SegmentRow(
            (uint)head.Blocks, append.Blocks, (ulong)head.Tokens, append.Tokens, (ulong)head.Bytes, append.Bytes, append.FirstHash, append.LastHash);
        var next = head with
        {
            Blocks = head.Blocks + append.Blocks,
            Tokens = head.Tokens + append.Tokens,
            Bytes = head.Bytes + (long)append.Bytes,
            Segments = head.Segments + 1,
            LastHash = append.LastHash,
        };
        return SequenceDecision.Change(next, SequenceEventKind.Appended, row);
    }

    private static SequenceDecision Pin(SequenceHead head, PinSequence pin, long now)
    {
        if (pin.Replicas == 0)
        {
            return SequenceDecision.Change(head with { Pin = new PinStatus(PinState.None, head.Pin.Number, 0, 0, 0, 0), PinnedBytes = 0 }, SequenceEventKind.PinLifted);
        }

        if (pin.Until <= now)
        {
            return SequenceDecision.Refuse(SequenceRefusal.Invalid, $"until is {pin.Until}; it must be after now, {now}, in Unix milliseconds.", head);
        }

        var until = Math.Min(pin.Until, head.ExpiresAt);
        if (head.Pin.State != PinState.None && head.Pin.Replicas == pin.Replicas && head.Pin.Blocks == head.Blocks)
        {
            // Only longer: what was verified stays verified.
            return SequenceDecision.Change(
                head with { Pin = head.Pin with { Until = until } }, head.Pin.State == PinState.Held ? SequenceEventKind.PinHeld : SequenceEventKind.PinPending);
        }

        var number = head.Pin.Number == 0 ? FirstPinNumber(head) : head.Pin.Number + 1;
        var next = new PinStatus(PinState.Pending, number, (byte)pin.Replicas, 0, head.Blocks, until);
        return SequenceDecision.Change(head with { Pin = next, PinnedBytes = head.Bytes * pin.Replicas }, SequenceEventKind.PinPending);
    }

    /// <summary>
    /// Begins anywhere, by the random name of the rows: whoever verified a pin of an earlier life of the sequence's name must not confirm one of this life.
    /// </summary>
    private static uint FirstPinNumber(SequenceHead head) => (uint)(head.RowsId >> 33) + 1;

    private static SequenceDecision Confirm(SequenceHead head, ConfirmPin confirm)
    {
        if (head.Pin.State == PinState.None || head.Pin.Number != confirm.Number)
        {
            return SequenceDecision.Refuse(SequenceRefusal.StalePin, $"number is {confirm.Number}; pin {head.Pin.Number} is {head.Pin.State}.", head);
        }

        var isHeld = confirm.Copies >= head.Pin.Replicas;
        var news = isHeld ? SequenceEventKind.PinHeld : head.Pin.State == PinState.Held ? SequenceEventKind.PinLost : SequenceEventKind.PinPending;
        var pin = head.Pin with { State = isHeld ? PinState.Held : PinState.Pending, Copies = (byte)confirm.Copies };
        return SequenceDecision.Change(head with { Pin = pin }, news);
    }

    /// <summary>What every step does to a head.</summary>
    private static SequenceHead Next(SequenceHead? before, SequenceHead head, SequenceCommand command, SequenceEventKind kind, long now)
    {
        var recent = head.Recent;
        if (command.RequestId != 0)
        {
            recent = recent.Length == SequenceLimits.RememberedRequests ? recent.RemoveAt(0) : recent;
            recent = recent.Add(new RememberedRequest(command.RequestId, KindOf(command, kind), head.Epoch));
        }

        // The scheduler's and forks' steps are no use by anybody: they keep no idle sequence alive.
        var isUse = command is not (ConfirmPin or ReleaseFork);
        return head with { Version = (before?.Version ?? 0) + 1, TouchedAt = isUse ? Math.Max(now, head.TouchedAt) : head.TouchedAt, Recent = recent };
    }

    private static RememberedRequest? FindRepeated(SequenceHead head, SequenceCommand command)
    {
        foreach (var request in head.Recent)
        {
            if (command.RequestId != 0 && request.RequestId == command.RequestId)
            {
                return request;
            }
        }

        return null;
    }

    /// <summary>One kind for each sort of command, whatever it came to.</summary>
    private static SequenceEventKind KindOf(SequenceCommand command, SequenceEventKind kind) => command switch
    {
        OpenSequence or Sequences.OpenFork => SequenceEventKind.Opened,
        PinSequence => SequenceEventKind.PinPending,
        ConfirmPin => SequenceEventKind.PinHeld,
        AppendSegment => SequenceEventKind.Appended,
        RetainFork => SequenceEventKind.Forked,
        ParkSequence => SequenceEventKind.Parked,
        ResumeSequence => SequenceEventKind.Resumed,
        CloseSequence => SequenceEventKind.Closed,
        _ => kind,
    };

    private static string Describe(SequenceUsage cost, SequenceUsage allowance) =>
        cost.Sequences > allowance.Sequences && cost.Sequences > 0 ? $"The tenant's quota leaves {Math.Max(0, allowance.Sequences)} sequences."
        : cost.Segments > allowance.Segments && cost.Segments > 0 ? $"The tenant's quota leaves {Math.Max(0, allowance.Segments)} segments."
        : $"The pin takes {cost.PinnedBytes} bytes and the tenant's quota leaves {Math.Max(0, allowance.PinnedBytes)}.";
}
