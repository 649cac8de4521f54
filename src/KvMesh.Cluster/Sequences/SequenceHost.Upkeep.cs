using System.Collections.Concurrent;
using KvMesh.Protocol.Sequences;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Sequences;

/// <summary>What goes on beside the commands: reports to the store, shares that go back, sequences that have ended; and listings.</summary>
public sealed partial class SequenceHost
{
    /// <summary>Ended sequences that wait for their origin to be told; more are told by nobody, and the origin's own end comes.</summary>
    private const int MaxEndedWaiting = 10_000;

    private readonly ConcurrentQueue<(string Tenant, SequenceEntry Entry)> _ended = new();
    private bool _wasUnavailable;

    public async ValueTask<SequencePage> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken)
    {
        if (count is < 1 or > SequenceLimits.MaxPageSequences)
        {
            return new SequencePage(SequenceRefusal.Invalid, [], "", $"count is {count}; it must be 1 to {SequenceLimits.MaxPageSequences}.");
        }

        if (after.Length > 0 && !SequenceLimits.IsName(after, out var error))
        {
            return new SequencePage(SequenceRefusal.Invalid, [], "", $"after: {error}");
        }

        var names = await _store.ListAsync(tenant, after, count, cancellationToken).ConfigureAwait(false);
        if (names.Status != StoreStatus.Ok)
        {
            return new SequencePage(SequenceRefusal.Unavailable, [], "", names.Text);
        }

        // Asked for all at once: a page is one more round trip, not one for each sequence.
        var reads = names.Names.Select(name => _store.ReadAsync(new SequenceId(tenant, name), cancellationToken).AsTask()).ToArray();
        var heads = await Task.WhenAll(reads).ConfigureAwait(false);
        var infos = new List<SequenceInfo>(heads.Length);
        for (var index = 0; index < heads.Length; index++)
        {
            if (heads[index].Status != StoreStatus.Ok)
            {
                return new SequencePage(SequenceRefusal.Unavailable, [], "", heads[index].Text);
            }

            if (SequenceLogic.Ended(heads[index].Head, Now) is { State: not SequenceState.Closed } head)
            {
                infos.Add(head.ToInfo(names.Names[index], Now));
            }
        }

        return new SequencePage(SequenceRefusal.None, infos, names.Names.Count < count ? "" : names.Names[^1], "");
    }

    /// <summary>One round of upkeep.</summary>
    /// <param name="isThorough">Also of tenants that this node has not changed: their ended sequences are cleared away, and its share is renewed or given back.</param>
    public async Task KeepUpAsync(bool isThorough, CancellationToken cancellationToken)
    {
        if (isThorough)
        {
            var tenants = await _store.ListTenantsAsync(cancellationToken).ConfigureAwait(false);
            foreach (var tenant in tenants.Names)
            {
                QuotaOf(tenant);
            }
        }

        var status = StoreStatus.Ok;
        foreach (var quota in _quotas.Values.Where(quota => isThorough || quota.HasChanges))
        {
            var share = await quota.ReportAsync(_store, isIdle: isThorough, cancellationToken).ConfigureAwait(false);
            Clear(quota.Tenant, share);
            status = share.Status == StoreStatus.Ok ? status : share.Status;
        }

        NoteAvailability(status);
        await TellOriginsAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task UpkeepAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(_options.ReportInterval, _time);
        var thoroughEvery = Math.Max(1, (int)(_options.LeaseTime / 3 / _options.ReportInterval));
        for (var round = 0; !cancellationToken.IsCancellationRequested; round++)
        {
            try
            {
                await KeepUpAsync(round % thoroughEvery == 0, cancellationToken).ConfigureAwait(false);
                await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception failure)
            {
                LogUpkeepFailed(failure);
                await Task.Delay(_options.ReportInterval, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Clear(string tenant, in TenantShare share)
    {
        if (share is { Status: StoreStatus.Ok, StoreTime: > 0 })
        {
            _storeTime = new ToldTime(share.StoreTime, _time.GetTimestamp());
        }

        foreach (var entry in share.Ended ?? [])
        {
            if (_ended.Count < MaxEndedWaiting)
            {
                _ended.Enqueue((tenant, entry));
            }
        }
    }

    /// <summary>The index said that these have ended. The heads decide: one that lives is entered again.</summary>
    private async Task TellOriginsAsync(CancellationToken cancellationToken)
    {
        for (var left = _ended.Count; left > 0 && _ended.TryDequeue(out var ended); left--)
        {
            var id = new SequenceId(ended.Tenant, ended.Entry.Name);
            var stored = await _store.ReadAsync(id, cancellationToken).ConfigureAwait(false);
            if (stored.Status != StoreStatus.Ok)
            {
                _ended.Enqueue(ended);
                return;
            }

            if (stored.Head is { } head)
            {
                // The store keeps a head as long as the sequence lives, by its own clock; this node's may be an hour off, and rows of a fork go with its origin.
                var entry = EntryOf(id, head);
                QuotaOf(id.Tenant).Note(entry with { EndsAt = Math.Max(entry.EndsAt, Now + (long)_options.EndSlack.TotalMilliseconds) });
                continue;
            }

            Events.Publish(new SequenceEvent(id, SequenceEventKind.Expired, ended.Entry.Version, Now));
            if (ended.Entry.Origin.Name.Length > 0)
            {
                await ReleaseAsync(id.Tenant, ended.Entry.Origin, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private void NoteAvailability(StoreStatus status)
    {
        var isUnavailable = status != StoreStatus.Ok;
        if (isUnavailable != _wasUnavailable)
        {
            _wasUnavailable = isUnavailable;
            LogAvailability(isUnavailable ? "does not answer: commands are refused until it does" : "answers again");
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "The store of sequences {What}.")]
    private partial void LogAvailability(string what);

    [LoggerMessage(2, LogLevel.Error, "Upkeep of sequences failed; the next round tries again.")]
    private partial void LogUpkeepFailed(Exception failure);
}
