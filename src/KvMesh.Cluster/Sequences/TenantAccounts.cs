namespace KvMesh.Cluster.Sequences;

/// <summary>
/// The books of one tenant as a store keeps them: what sequences take, and what nodes hold of the rest. Used directly by the embedded
/// store; the script of the Redis store does the same. Used by one thread at a time.
/// </summary>
internal sealed class TenantAccounts
{
    private readonly Dictionary<string, SequenceEntry> _entries = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _names = new(StringComparer.Ordinal);
    private readonly SortedSet<(long EndsAt, string Name)> _ends = [];
    private readonly Dictionary<string, (SequenceUsage Held, DateTimeOffset Until)> _leases = new(StringComparer.Ordinal);
    private readonly SortedSet<(DateTimeOffset Until, string Node)> _leaseEnds = [];
    private SequenceUsage _used;
    private SequenceUsage _held;

    public bool IsEmpty => _entries.Count == 0;

    public SequenceUsage Used => _used;

    /// <param name="now">The store's own time, for leases and ends: nodes' clocks may differ.</param>
    public TenantShare Report(TenantReport report, DateTimeOffset now)
    {
        var time = now.ToUnixTimeMilliseconds();
        foreach (var entry in report.Entries)
        {
            // An end is told as a time from the caller's now.
            Put(entry with { EndsAt = time + (entry.EndsAt - report.Now) });
        }

        var ended = TakeEnded(time);
        Drop(report.Node);
        while (_leaseEnds.Count > 0 && _leaseEnds.Min.Until <= now)
        {
            Drop(_leaseEnds.Min.Node);
        }

        var given = Share(report, SequenceUsage.Max(report.Limit - _used - _held, default));
        if (!given.IsZero)
        {
            _leases[report.Node] = (given, now + report.LeaseTime);
            _leaseEnds.Add((now + report.LeaseTime, report.Node));
            _held += given;
        }

        return new TenantShare(StoreStatus.Ok, _used, given, ended, StoreTime: time);
    }

    /// <summary>Takes the entry unless a later one is known.</summary>
    public void Put(SequenceEntry entry)
    {
        if (_entries.TryGetValue(entry.Name, out var before))
        {
            if (before.Version > entry.Version)
            {
                return;
            }

            Remove(before);
        }

        if (!entry.IsGone)
        {
            _entries[entry.Name] = entry;
            _names.Add(entry.Name);
            _ends.Add((entry.EndsAt, entry.Name));
            _used += entry.Usage;
        }
    }

    public IReadOnlyList<string> Names(string after, int count) =>
        [.. (after.Length == 0 ? _names : _names.GetViewBetween(after + "\0", "\x7f")).Take(count)];

    /// <summary>
    /// Needs first; of what would be good to have, at most a quarter of the rest, so that shares grow small where little is left and
    /// the last of a quota lies with nobody.
    /// </summary>
    private static SequenceUsage Share(TenantReport report, SequenceUsage free)
    {
        var need = SequenceUsage.Min(report.Need, free);
        var rest = free - need;
        return need + SequenceUsage.Min(report.Want, new SequenceUsage(rest.Sequences / 4, rest.Segments / 4, rest.PinnedBytes / 4));
    }

    private void Drop(string node)
    {
        if (_leases.Remove(node, out var lease))
        {
            _leaseEnds.Remove((lease.Until, node));
            _held -= lease.Held;
        }
    }

    private List<SequenceEntry> TakeEnded(long now)
    {
        var ended = new List<SequenceEntry>();
        while (ended.Count < TenantReport.MaxEnded && _ends.Count > 0 && _ends.Min.EndsAt <= now)
        {
            var entry = _entries[_ends.Min.Name];
            Remove(entry);
            ended.Add(entry);
        }

        return ended;
    }

    private void Remove(SequenceEntry entry)
    {
        _entries.Remove(entry.Name);
        _names.Remove(entry.Name);
        _ends.Remove((entry.EndsAt, entry.Name));
        _used -= entry.Usage;
    }
}
