namespace KvMesh.Cluster.Sequences;

/// <summary>
/// What this node may still spend of one tenant's quota, and what it has not told the store yet. A share is given for a time and counts as
/// nothing once that is over; one report is under way at a time.
/// </summary>
/// <param name="now">Unix milliseconds, as ends of sequences are reckoned.</param>
internal sealed class QuotaShares(string tenant, SequenceHostOptions options, Func<long> now, TimeProvider time) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _reporting = new(1, 1);
    private readonly Dictionary<string, SequenceEntry> _changed = new(StringComparer.Ordinal);
    private SequenceUsage _free;
    private SequenceUsage _used;
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

    /// <summary>What the tenant's sequences take on all nodes, as the store last said.</summary>
    public SequenceUsage Used
    {
        get
        {
            lock (_lock)
            {
                return _used;
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

    /// <summary>Reports what changed and renews the share.</summary>
    /// <param name="isIdle">Nothing has to be kept at hand: what is not needed goes back.</param>
    public async ValueTask<TenantShare> ReportAsync(ISequenceStore store, bool isIdle, CancellationToken cancellationToken) =>
        (await ReportAsync(store, default, isIdle, cancellationToken).ConfigureAwait(false)).Share;

    /// <summary>
    /// As above, and sets <paramref name="cost"/> aside as <see cref="TrySpend"/> does, if the quota has it: the next report, which may begin at
    /// once, leaves nothing free until it is answered.
    /// </summary>
    public ValueTask<(TenantShare Share, bool IsSetAside)> ReportAsync(ISequenceStore store, SequenceUsage cost, CancellationToken cancellationToken) =>
        ReportAsync(store, SequenceUsage.Max(cost, default), isIdle: false, cancellationToken);

    public void Dispose() => _reporting.Dispose();

    private async ValueTask<(TenantShare Share, bool IsSetAside)> ReportAsync(
        ISequenceStore store, SequenceUsage need, bool isIdle, CancellationToken cancellationToken)
    {
        await _reporting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var (report, told) = Begin(need, isIdle);
            var sentAt = time.GetTimestamp();
            var share = await store.ReportAsync(report, cancellationToken).ConfigureAwait(false);
            return (share, End(report, told, share, need, sentAt));
        }
        finally
        {
            _reporting.Release();
        }
    }

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
                tenant, options.Node, entries, _underWay + (_untold - told) + need, want, options.TenantLimit, options.LeaseTime, now());
            _free = default;
            _wasUsed = false;
            return (report, told);
        }
    }

    /// <summary>Takes the answer. Returns whether what was needed is set aside.</summary>
    private bool End(TenantReport report, SequenceUsage told, TenantShare share, SequenceUsage need, long sentAt)
    {
        lock (_lock)
        {
            if (share.Status != StoreStatus.Ok)
            {
                return false;
            }

            foreach (var entry in report.Entries)
            {
                if (_changed.TryGetValue(entry.Name, out var latest) && latest == entry)
                {
                    _changed.Remove(entry.Name);
                }
            }

            _used = share.Used;

            // The share covers what is under way, and what happened since the report was made.
            _untold -= told;
            _free = SequenceUsage.Max(share.Given - _underWay - _untold, default);
            _givenAt = sentAt;
            if (!need.FitsInto(_free))
            {
                return false;
            }

            _free -= need;
            _underWay += need;
            _wasUsed |= !need.IsZero;
            return true;
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
