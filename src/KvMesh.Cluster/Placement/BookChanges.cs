using System.Collections.Immutable;

namespace KvMesh.Cluster.Placement;

/// <summary>What changed in a book since it was last written down.</summary>
/// <param name="IsPaused">Null: as before.</param>
/// <param name="Orders">Orders that are open now, or were cancelled.</param>
/// <param name="Gone">Orders that nobody has to know of any more.</param>
/// <param name="Pauses">How often orders were paused and resumed up to here.</param>
internal sealed record BookChanges(
    ImmutableArray<AuditLine> Audit, bool? IsPaused, long LastId, ImmutableArray<OrderEntry> Orders, ImmutableArray<long> Gone, int Pauses);

/// <summary>
/// Collects the changes of a book until they are written down. Under the lock of its book. What waits is bounded: lines by the audit, orders by what a term opens
/// while its store is silent, which ends the term within a lease.
/// </summary>
internal sealed class UnsavedChanges
{
    private readonly List<AuditLine> _audit = [];
    private readonly Dictionary<long, OrderEntry?> _orders = [];
    private readonly Queue<(DateTimeOffset Until, long Id)> _cancelled = new();
    private int _pauses;
    private int _savedPauses;

    public void Note(AuditLine line)
    {
        _audit.Add(line);
        if (_audit.Count > OrderBook.MaxEnded)
        {
            _audit.RemoveAt(0);
        }
    }

    public void NotePause() => _pauses++;

    public void NoteOpen(OrderEntry entry) => _orders[entry.Id] = entry;

    public void NoteEnded(OrderEntry entry)
    {
        if (entry is { State: OrderState.Cancelled, EndedAt: { } at })
        {
            _orders[entry.Id] = entry;
            Bar(entry.Id, at);
        }
        else
        {
            NoteGone(entry.Id);
        }
    }

    public void NoteGone(long id) => _orders[id] = null;

    /// <summary>Keeps a cancelled order as long as it must not be ordered again.</summary>
    public void Bar(long id, DateTimeOffset cancelledAt) => _cancelled.Enqueue((cancelledAt + OrderBook.CancelMemory, id));

    /// <summary>Null: nothing changed.</summary>
    public BookChanges? Take(bool isPaused, long lastId, int mostOrders, DateTimeOffset now)
    {
        while (_cancelled.TryPeek(out var first) && first.Until <= now)
        {
            NoteGone(_cancelled.Dequeue().Id);
        }

        if (_audit.Count == 0 && _orders.Count == 0 && _pauses == _savedPauses)
        {
            return null;
        }

        var some = _orders.Take(mostOrders).ToList();
        return new BookChanges(
            [.. _audit], _pauses == _savedPauses ? null : isPaused, lastId,
            [.. some.Where(pair => pair.Value is not null).Select(pair => pair.Value!)], [.. some.Where(pair => pair.Value is null).Select(pair => pair.Key)], _pauses);
    }

    /// <summary>Forgets what was written; what changed meanwhile stays.</summary>
    public void Saved(BookChanges changes)
    {
        var lines = new HashSet<object>(changes.Audit, ReferenceEqualityComparer.Instance);
        _audit.RemoveAll(lines.Contains);
        _savedPauses = changes.Pauses;
        foreach (var entry in changes.Orders)
        {
            Forget(entry.Id, entry);
        }

        foreach (var id in changes.Gone)
        {
            Forget(id, null);
        }
    }

    private void Forget(long id, OrderEntry? saved)
    {
        if (_orders.TryGetValue(id, out var entry) && ReferenceEquals(entry, saved))
        {
            _orders.Remove(id);
        }
    }
}
