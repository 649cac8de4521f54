using KvMesh.Protocol.Sequences;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// Sequences of a single node: in memory, and every step in a file before it is acknowledged, so that sessions outlive the process. Calls
/// end before they return; the file is written under the lock, which keeps the order of steps and of records the same.
/// </summary>
public sealed partial class EmbeddedSequenceStore : ISequenceStore, IDisposable
{
    // The file is rewritten when less than half of it is in force; below this size that is not worth the while.
    private const long MinBytesToRewrite = 4 << 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<SequenceId, Sequence> _sequences = [];
    private readonly Dictionary<string, TenantAccounts> _tenants = new(StringComparer.Ordinal);
    private readonly PriorityQueue<SequenceId, long> _ends = new();
    private readonly SequenceRules _rules;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SequenceJournal? _journal;
    private long _liveBytes;
    private bool _isDisposed;

    /// <param name="path">File of the sequences; null: they end with the process.</param>
    /// <exception cref="IOException">The file cannot be used.</exception>
    public EmbeddedSequenceStore(string? path, SequenceRules rules, TimeProvider time, ILoggerFactory loggers)
    {
        _rules = rules;
        _time = time;
        _logger = loggers.CreateLogger<EmbeddedSequenceStore>();
        if (path is null)
        {
            return;
        }

        _journal = SequenceJournal.Open(path, Replay, out var cutBytes);
        if (cutBytes > 0)
        {
            LogCut(path, cutBytes);
        }

        foreach (var (id, sequence) in _sequences)
        {
            Account(id, sequence.Head);
        }
    }

    /// <summary>Sequences that are kept, closed ones included.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _sequences.Count;
            }
        }
    }

    /// <summary>Bytes of the file.</summary>
    internal long FileBytes => _journal?.Bytes ?? 0;

    private long Now => _time.GetUtcNow().ToUnixTimeMilliseconds();

    public ValueTask<StoredHead> ReadAsync(SequenceId id, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(new StoredHead(StoreStatus.Ok, Find_NeedsLock(id)?.Head));
        }
    }

    public ValueTask<StoredHead> WriteAsync(SequenceId id, SequenceWrite write, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(Write_NeedsLock(id, write));
        }
    }

    public ValueTask<StoredRows> ReadRowsAsync(SequenceId id, ulong rowsId, int first, int count, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(new StoredRows(StoreStatus.Ok, first, RowsOf_NeedsLock(id, rowsId)?.Read(first, count) ?? []));
        }
    }

    public ValueTask<StoredRows> FindRowAsync(SequenceId id, ulong rowsId, int rows, long block, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var log = RowsOf_NeedsLock(id, rowsId);
            var index = log?.Find(rows, block) ?? -1;
            return ValueTask.FromResult(new StoredRows(StoreStatus.Ok, Math.Max(index, 0), index < 0 ? [] : log!.Read(index, 1)));
        }
    }

    public ValueTask<StoredNames> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(new StoredNames(StoreStatus.Ok, _tenants.GetValueOrDefault(tenant)?.Names(after, count) ?? []));
        }
    }

    public ValueTask<StoredNames> ListTenantsAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(new StoredNames(StoreStatus.Ok, [.. _tenants.Keys]));
        }
    }

    public ValueTask<TenantShare> ReportAsync(TenantReport report, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(report);
        lock (_lock)
        {
            ForgetEnded_NeedsLock();
            return ValueTask.FromResult(AccountsOf(report.Tenant).Report(report, _time.GetUtcNow()));
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _journal?.Dispose();
        }
    }

    private StoredHead Write_NeedsLock(SequenceId id, in SequenceWrite write)
    {
        if (_isDisposed)
        {
            return new StoredHead(StoreStatus.Unavailable, null, "The node stops.");
        }

        var sequence = Find_NeedsLock(id);
        if ((sequence?.Head.Version ?? 0) != write.ExpectedVersion || (sequence?.Head.Stamp ?? 0) != write.ExpectedStamp)
        {
            return new StoredHead(StoreStatus.Conflict, sequence?.Head);
        }

        var head = SequenceHeadFormat.Write(write.Head);
        try
        {
            _journal?.Append(new JournalRecord(id, head, write.FirstNewRow, write.NewRows));
        }
        catch (IOException failure)
        {
            return new StoredHead(StoreStatus.Unavailable, null, $"The file of the sequences cannot be written: {failure.Message}");
        }

        Take(id, write.Head, head.Length, write.FirstNewRow, write.NewRows.Span);
        if (_journal is not null && _journal.Bytes > MinBytesToRewrite && _journal.Bytes > 2 * _liveBytes)
        {
            Rewrite_NeedsLock();
        }

        return new StoredHead(StoreStatus.Ok, write.Head);
    }

    private void Replay(JournalRecord record)
    {
        if (record.Head.IsEmpty)
        {
            Drop(record.Id);
        }
        else if (SequenceHeadFormat.TryRead(record.Head.Span) is { } head)
        {
            Take(record.Id, head, record.Head.Length, record.FirstRow, record.Rows.Span);
        }
        else
        {
            throw new IOException($"The file of the sequences holds a head of '{record.Id}' that this version of the program cannot read.");
        }
    }

    private void Take(SequenceId id, SequenceHead head, int headBytes, int firstRow, ReadOnlySpan<SegmentRow> rows)
    {
        if (!_sequences.TryGetValue(id, out var sequence))
        {
            _sequences[id] = sequence = new Sequence();
            _ends.Enqueue(id, head.KeepUntil(_rules));
        }

        _liveBytes -= sequence.RecordBytes;
        if (sequence.Head is null || sequence.Head.RowsId != head.RowsId || head.HasDroppedRows)
        {
            sequence.Rows = new RowLog();
        }

        for (var index = 0; index < rows.Length; index++)
        {
            sequence.Rows.Write(firstRow + index, rows[index]);
        }

        sequence.Head = head;
        sequence.RecordBytes = SequenceJournal.BytesOf(id, headBytes, sequence.Rows.Count);
        _liveBytes += sequence.RecordBytes;
    }

    private void Drop(SequenceId id)
    {
        if (_sequences.Remove(id, out var sequence))
        {
            _liveBytes -= sequence.RecordBytes;
        }
    }

    /// <summary>A sequence whose time is over is not there, whether it was forgotten already or not.</summary>
    private Sequence? Find_NeedsLock(SequenceId id) =>
        _sequences.TryGetValue(id, out var sequence) && sequence.Head.KeepUntil(_rules) > Now ? sequence : Forget_NeedsLock(id, sequence);

    private Sequence? Forget_NeedsLock(SequenceId id, Sequence? sequence)
    {
        if (sequence is not null && !_isDisposed)
        {
            Drop(id);
            TryNoteDropped(id);
        }

        return null;
    }

    private RowLog? RowsOf_NeedsLock(SequenceId id, ulong rowsId) =>
        _sequences.TryGetValue(id, out var sequence) && sequence.Head.RowsId == rowsId ? sequence.Rows : null;

    private void ForgetEnded_NeedsLock()
    {
        for (var left = TenantReport.MaxEnded; left > 0 && _ends.TryPeek(out var id, out var end) && end <= Now; left--)
        {
            _ends.Dequeue();
            if (Find_NeedsLock(id) is { } sequence)
            {
                _ends.Enqueue(id, sequence.Head.KeepUntil(_rules));
            }
        }
    }

    /// <summary>When this fails, the next start finds the sequence, sees that its time is over and forgets it again.</summary>
    private void TryNoteDropped(SequenceId id)
    {
        try
        {
            _journal?.Append(new JournalRecord(id, default, 0, default));
        }
        catch (IOException failure)
        {
            LogNotNoted(id, failure.Message);
        }
    }

    private void Rewrite_NeedsLock()
    {
        try
        {
            _journal!.Rewrite(_sequences.SelectMany(pair => RecordsOf(pair.Key, pair.Value)));
            _liveBytes = Math.Max(_liveBytes, _journal.Bytes);
        }
        catch (IOException failure)
        {
            // The old file goes on. It is tried again when the file has doubled.
            _liveBytes = _journal!.Bytes;
            LogNotRewritten(failure.Message);
        }
    }

    private static IEnumerable<JournalRecord> RecordsOf(SequenceId id, Sequence sequence)
    {
        var head = SequenceHeadFormat.Write(sequence.Head);
        var first = 0;
        do
        {
            var rows = sequence.Rows.Read(first, SequenceLimits.MaxPageRows);
            yield return new JournalRecord(id, head, first, rows);
            first += rows.Length;
        }
        while (first < sequence.Rows.Count);
    }

    private TenantAccounts AccountsOf(string tenant)
    {
        if (!_tenants.TryGetValue(tenant, out var accounts))
        {
            _tenants[tenant] = accounts = new TenantAccounts();
        }

        return accounts;
    }

    private void Account(SequenceId id, SequenceHead head) =>
        AccountsOf(id.Tenant).Put(new SequenceEntry(id.Name, head.Version, SequenceUsage.Of(head), head.KeepUntil(_rules), head.Origin));

    [LoggerMessage(1, LogLevel.Warning, "The last {Bytes} bytes of {Path} were torn or damaged and are cut off: steps that were under way when the process ended.")]
    private partial void LogCut(string path, long bytes);

    [LoggerMessage(2, LogLevel.Warning, "That '{Id}' has ended could not be written: {Reason}")]
    private partial void LogNotNoted(SequenceId id, string reason);

    [LoggerMessage(3, LogLevel.Warning, "The file of the sequences could not be rewritten without what is out of force: {Reason}")]
    private partial void LogNotRewritten(string reason);

    private sealed class Sequence
    {
        public SequenceHead Head { get; set; } = null!;

        public RowLog Rows { get; set; } = new();

        public int RecordBytes { get; set; }
    }
}
