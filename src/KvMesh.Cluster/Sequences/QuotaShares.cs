namespace KvMesh.Cluster.Sequences;

/// <summary>
/// What this node may still spend of one tenant's quota, and what it has not told the store yet. A share is given for a time and counts as
/// nothing once that is over; one report is under way at a time.
/// </summary>
internal sealed class QuotaShares(string tenant, SequenceHostOptions options, TimeProvider time) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _reporting = new(1, 1);
    private readonly Dictionary<string, SequenceEntry> _changed = new(StringComparer.Ordinal);
    private SequenceUsage _free;
    private SequenceUsage _underWay;
    private SequenceUsage _untold;
    private long _givenAt;
    private bool _wasUsed;

    public string Tenant => tenant;

    /// <summary>What may be spent now.</summary>
    public SequenceUsage Free
    {
        get
        {
            lock (_lock)
            {
                return Free_NeedsLock();
            }
        }
    }

    /// <summary>Whether the store has to hear of changes.</summary>
    public bool HasChanges
    {
        get
        {
            lock (_lock)
            {
                return _changed.Count > 0;
            }
        }
    }

    /// <summary>Sets the cost of a command aside. Ends with <see cref="Settle"/> or <see cref="GiveBack"/>.</summary>
    public bool TrySpend(SequenceUsage cost)
    {
        lock (_lock)
        {
            if (!cost.FitsInto(Free_NeedsLock()))
            {
                return false;
            }

            var taken = SequenceUsage.Max(cost, default);
            _free -= taken;
            _underWay += taken;
            _wasUsed = true;
            return true;
        }
    }

    /// <summary>The command did not happen.</summary>
    public void GiveBack(SequenceUsage cost)
    {
        lock (_lock)
        {
            var taken = SequenceUsage.Max(cost, default);
            _underWay -= taken;
            _free += taken;
        }
    }

    /// <summary>The command happened. The store hears of it with the next report.</summary>
    public void Settle(SequenceUsage cost, SequenceEntry entry)
    {
        lock (_lock)
        {
            var taken = SequenceUsage.Max(cost, default);
            _underWay -= taken;
            _untold += taken;
            Note_NeedsLock(entry);
        }
    }

    /// <summary>Tells the store of a sequence as it is, or as it is about to be.</summary>
    public void Note(SequenceEntry entry)
    {
        lock (_lock)
        {
            Note_NeedsLock(entry);
        }
    }

    /// <summary>Reports what changed and takes a share that covers <paramref name="need"/> if the quota has it.</summary>
    /// <param name="isIdle">Nothing has to be kept at hand: what is not needed goes back.</param>
    public async ValueTask<TenantShare> ReportAsync(ISequenceStore store, SequenceUsage need, bool isIdle, CancellationToken cancellationToken)
    {
        await _reporting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var (report, told) = Begin(SequenceUsage.Max(need, default), isIdle);
            var sentAt = time.GetTimestamp();
            var share = await store.ReportAsync(report, cancellationToken).ConfigureAwait(false);
            End(report, told, share, sentAt);
            return share;
        }
        finally
        {
            _reporting.Release();
        }
    }

    public void Dispose() => _reporting.Dispose();

    private (TenantReport Report, SequenceUsage Told) Begin(SequenceUsage need, bool isIdle)
    {
        lock (_lock)
        {
            var entries = _changed.Values.Take(TenantReport.MaxEntries).ToList();

            // While the report is under way nothing is free: what is spent meanwhile waits for the new share.
            var isQuiet = isIdle && !_wasUsed;
            var want = isQuiet ? default : options.ShareSize;
            var told = entries.Count == _changed.Count ? _untold : default;
            var report = new TenantReport(
                tenant, options.Node, entries, _underWay + (_untold - told) + need, want, options.TenantLimit, options.LeaseTime, time.GetUtcNow().ToUnixTimeMilliseconds());
            _free = default;
            _wasUsed = false;
            return (report, told);
        }
    }

    private void End(TenantReport report, SequenceUsage told, TenantShare share, long sentAt)
    {
        lock (_lock)
        {
            if (share.Status != StoreStatus.Ok)
            {
                return;
            }

            foreach (var entry in report.Entries)
            {
                if (_changed.TryGetValue(entry.Name, out var latest) && latest == entry)
                {
                    _changed.Remove(entry.Name);
                }
            }

            // The share covers what is under way, and what happened since the report was made.
            _untold -= told;
            _free = SequenceUsage.Max(share.Given - _underWay - _untold, default);
            _givenAt = sentAt;
        }
    }

    private SequenceUsage Free_NeedsLock() => time.GetElapsedTime(_givenAt) < options.LeaseTime * 0.8 ? _free : default;

    private void Note_NeedsLock(SequenceEntry entry)
    {
        if (!_changed.TryGetValue(entry.Name, out var before) || before.Version <= entry.Version)
        {
            _changed[entry.Name] = entry;
        }
    }
}
