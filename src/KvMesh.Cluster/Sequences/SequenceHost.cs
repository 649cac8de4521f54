using System.Collections.Concurrent;
using System.Security.Cryptography;
using KvMesh.Protocol.Sequences;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// Hosts sequences over a store: applies commands to the head at hand and writes the result over exactly that version. Where
/// another node was faster, the store gives the new head and the command is applied again, so the common step is one round trip.
/// </summary>
public sealed partial class SequenceHost : ISequenceHost, IAsyncDisposable
{
    /// <summary>Applications of one command before it is refused as busy: each loss means that another node made a step.</summary>
    private const int MaxAttempts = 16;

    private readonly ISequenceStore _store;
    private readonly SequenceHostOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SequenceSlots _slots;
    private readonly ConcurrentDictionary<string, QuotaShares> _quotas = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private Task _upkeep = Task.CompletedTask;
    private volatile ToldTime? _storeTime;

    public SequenceHost(ISequenceStore store, SequenceHostOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        _store = store;
        _options = options;
        _time = time;
        _logger = loggers.CreateLogger<SequenceHost>();
        _slots = new SequenceSlots(options.MaxCachedHeads);
    }

    public SequenceEventFeed Events { get; } = new();

    /// <summary>What each tenant's sequences take on all nodes together, as the store last said; part of its quota.</summary>
    public IReadOnlyList<TenantUsage> Usages => [.. _quotas.Values.Select(quota => new TenantUsage(quota.Tenant, quota.Used, _options.TenantLimit))];

    /// <summary>
    /// The store's time, as it was last told and has gone on since by this process's own steady clock: whether a sequence has ended is one question with one
    /// answer, and a node whose clock is ahead must not open a name anew over a sequence that lives.
    /// </summary>
    private long Now => _storeTime is { } told ? told.Time + (long)_time.GetElapsedTime(told.At).TotalMilliseconds : _time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Begins to report to the store and to clear away what has ended.</summary>
    public void Start() => _upkeep = Task.Run(() => UpkeepAsync(_stopping.Token));

    public ValueTask<SequenceReply> ExecuteAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(command);
        if (!SequenceLimits.IsName(id.Name, out var error))
        {
            return ValueTask.FromResult(SequenceReply.Refuse(SequenceRefusal.Invalid, error));
        }

        return command is ForkSequence fork ? ForkAsync(id, fork, cancellationToken) : TakeTurnAsync(id, command, cancellationToken);
    }

    public async ValueTask<SequenceReply> FindAsync(SequenceId id, CancellationToken cancellationToken)
    {
        if (!SequenceLimits.IsName(id.Name, out var error))
        {
            return SequenceReply.Refuse(SequenceRefusal.Invalid, error);
        }

        var (head, refusal) = await ReadAsync(id, cancellationToken).ConfigureAwait(false);
        return refusal ?? new SequenceReply(SequenceRefusal.None, head!.ToInfo(id.Name, Now), "", false);
    }

    public async ValueTask<TenantShare> ReadUsageAsync(string tenant, CancellationToken cancellationToken)
    {
        var share = await QuotaOf(tenant).ReportAsync(_store, isIdle: true, cancellationToken).ConfigureAwait(false);
        Clear(tenant, share);
        return share;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _upkeep.ConfigureAwait(false);
        _stopping.Dispose();
        foreach (var quota in _quotas.Values)
        {
            quota.Dispose();
        }
    }

    /// <summary>The head in the store as of now; or what to answer instead.</summary>
    private async ValueTask<(SequenceHead? Head, SequenceReply? Refusal)> ReadAsync(SequenceId id, CancellationToken cancellationToken)
    {
        var stored = await _store.ReadAsync(id, cancellationToken).ConfigureAwait(false);
        if (stored.Status != StoreStatus.Ok)
        {
            return (null, SequenceReply.Refuse(SequenceRefusal.Unavailable, stored.Text));
        }

        return SequenceLogic.Ended(stored.Head, Now) is { } head
            ? (head, null)
            : (null, SequenceReply.Refuse(SequenceRefusal.NotFound, "There is no such sequence."));
    }

    private async ValueTask<SequenceReply> TakeTurnAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken)
    {
        if (!_slots.TryEnter(id, out var slot, out var turn))
        {
            return SequenceReply.Refuse(SequenceRefusal.Busy, $"{SequenceLimits.MaxWaitingCommands} commands wait for this sequence here, the limit.");
        }

        SequenceReply reply;
        using (turn)
        {
            await turn.Before.ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            reply = await StepAsync(id, slot, command, cancellationToken).ConfigureAwait(false);
        }

        if (command is CloseSequence && reply is { IsOk: true, IsRepetition: false, Info.Origin: { Name.Length: > 0 } origin })
        {
            // Not in the sequence's own turn: nobody waits for one turn while holding another.
            await ReleaseAsync(id.Tenant, origin, cancellationToken).ConfigureAwait(false);
        }

        return reply;
    }

    private async ValueTask<SequenceReply> StepAsync(SequenceId id, SequenceSlot slot, SequenceCommand command, CancellationToken cancellationToken)
    {
        var allowance = new StepAllowance(QuotaOf(id.Tenant));
        try
        {
            return await StepAsync(id, slot, command, allowance, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            allowance.GiveBack();
        }
    }

    private async ValueTask<SequenceReply> StepAsync(
        SequenceId id, SequenceSlot slot, SequenceCommand command, StepAllowance allowance, CancellationToken cancellationToken)
    {
        var quota = allowance.Quota;
        var isFresh = false;
        var wasAsked = false;
        if (_storeTime is null && await AskAsync(allowance, default, cancellationToken).ConfigureAwait(false) is { } silent)
        {
            return silent;
        }

        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (!slot.IsKnown)
            {
                var stored = await _store.ReadAsync(id, cancellationToken).ConfigureAwait(false);
                if (stored.Status != StoreStatus.Ok)
                {
                    return SequenceReply.Refuse(SequenceRefusal.Unavailable, stored.Text);
                }

                slot.Know(stored.Head);
                isFresh = true;
            }

            var decision = SequenceLogic.Apply(slot.Head, command, Now, NewRowsId(), allowance.Free, _options.Rules);
            if (decision.Refusal == SequenceRefusal.QuotaExceeded && !wasAsked)
            {
                wasAsked = true;
                if (await AskAsync(allowance, decision.Cost, cancellationToken).ConfigureAwait(false) is { } unavailable)
                {
                    return unavailable;
                }

                continue;
            }

            if (!decision.IsChange)
            {
                // A refusal may be due to a head that another node has moved on from; Invalid is not.
                if (decision.IsRepetition || isFresh || decision.Refusal is SequenceRefusal.Invalid)
                {
                    if (decision.IsRepetition)
                    {
                        // The first time may have ended without an answer from the store, and its entry with it.
                        quota.Note(EntryOf(id, decision.Head!));
                    }

                    return Reply(id, decision);
                }

                slot.Forget();
                continue;
            }

            if (!allowance.TrySpend(decision.Cost))
            {
                wasAsked = false;
                continue;
            }

            if (await WriteAsync(id, slot, quota, decision, cancellationToken).ConfigureAwait(false) is { } reply)
            {
                return reply;
            }

            isFresh = true;
        }

        return SequenceReply.Refuse(SequenceRefusal.Busy, $"Other nodes made {MaxAttempts} steps meanwhile; try again.");
    }

    /// <summary>Writes a step. Null: the head was another one, and is known now.</summary>
    private async ValueTask<SequenceReply?> WriteAsync(
        SequenceId id, SequenceSlot slot, QuotaShares quota, SequenceDecision decision, CancellationToken cancellationToken)
    {
        var before = slot.Head;
        var head = decision.Head! with { Stamp = RandomNumberGenerator.GetInt32(1 << (8 * SequenceHeadFormat.StampBytes)) };
        var rows = decision.NewRow is { } row ? new[] { row } : ReadOnlyMemory<SegmentRow>.Empty;
        var write = new SequenceWrite(head, before?.Version ?? 0, before?.Stamp ?? 0, rows, head.OwnSegments - rows.Length, head.KeepUntil(_options.Rules), Now);
        slot.Forget();
        var isSettled = false;
        try
        {
            // The index hears of a beginning or an end together with the head, so that whoever lists next sees it.
            var telling = decision.Event is SequenceEventKind.Opened or SequenceEventKind.Closed
                ? TellAsync(quota, EntryOf(id, head), cancellationToken)
                : ValueTask.CompletedTask;
            var written = await _store.WriteAsync(id, write, cancellationToken).ConfigureAwait(false);
            await telling.ConfigureAwait(false);
            switch (written.Status)
            {
                case StoreStatus.Ok:
                    slot.Know(head);
                    isSettled = true;
                    quota.Settle(decision.Cost, EntryOf(id, head));
                    var endsPin = before is { Pin.State: not PinState.None } && head.Pin.State == PinState.None;
                    Events.Publish(new SequenceEvent(id, decision.Event!.Value, head.Version, head.TouchedAt, endsPin, head.LosslessOnly));
                    return Reply(id, decision);

                case StoreStatus.Conflict:
                    slot.Know(written.Head);
                    if (written.Head is not null)
                    {
                        quota.Note(EntryOf(id, written.Head));
                    }

                    return null;

                default:
                    return SequenceReply.Refuse(SequenceRefusal.Unavailable, written.Text);
            }
        }
        finally
        {
            if (!isSettled)
            {
                quota.GiveBack(decision.Cost);
            }
        }
    }

    private async ValueTask<SequenceReply?> AskAsync(StepAllowance allowance, SequenceUsage cost, CancellationToken cancellationToken)
    {
        var share = await allowance.AskAsync(_store, cost, cancellationToken).ConfigureAwait(false);
        Clear(allowance.Quota.Tenant, share);
        return share.Status == StoreStatus.Ok ? null : SequenceReply.Refuse(SequenceRefusal.Unavailable, share.Text);
    }

    private async ValueTask TellAsync(QuotaShares quota, SequenceEntry entry, CancellationToken cancellationToken)
    {
        quota.Note(entry);
        Clear(quota.Tenant, await quota.ReportAsync(_store, isIdle: false, cancellationToken).ConfigureAwait(false));
    }

    private SequenceReply Reply(SequenceId id, in SequenceDecision decision) => new(
        decision.Refusal, decision.Head is { } head && decision.Refusal != SequenceRefusal.NotFound ? head.ToInfo(id.Name, Now) : null, decision.Text, decision.IsRepetition);

    private SequenceEntry EntryOf(SequenceId id, SequenceHead head) => new(
        id.Name, head.Version, SequenceUsage.Of(head), head.KeepUntil(_options.Rules) + (long)_options.EndSlack.TotalMilliseconds, head.Origin);

    private QuotaShares QuotaOf(string tenant) => _quotas.GetOrAdd(tenant, static (name, host) => new QuotaShares(name, host._options, () => host.Now, host._time), this);

    /// <summary>Never 0, which stands for none.</summary>
    private static ulong NewRowsId() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1;

    private sealed record ToldTime(long Time, long At);
}
