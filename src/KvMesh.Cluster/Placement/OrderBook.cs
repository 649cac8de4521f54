using System.Collections.Immutable;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cluster.Placement;

/// <summary>
/// The orders of this scheduler, from the plan to their end, and what operators did to them. It forgets the oldest that ended beyond
/// <see cref="MaxEnded"/>. Thread-safe.
/// </summary>
public sealed class OrderBook(TimeProvider time)
{
    /// <summary>Ended orders, and audit lines, that are kept for operators.</summary>
    public const int MaxEnded = 1_000;

    /// <summary>Orders that may be open at one time; a plan adds no more.</summary>
    public const int MaxOpen = 4_096;

    /// <summary>How long what an operator cancelled is not ordered again.</summary>
    public static readonly TimeSpan CancelMemory = TimeSpan.FromMinutes(5);

    /// <summary>States as the admin API names them.</summary>
    private const string Cancelled = "cancelled";
    private const string Lost = "lost";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, OrderEntry> _open = new(StringComparer.Ordinal);
    private readonly Dictionary<long, string> _names = [];
    private readonly Queue<OrderEntry> _ended = new();
    private readonly UnsavedChanges _unsaved = new();
    private Queue<AuditLine> _audit = new();
    private ImmutableArray<OrderStatus> _inherited = [];
    private long _lastId;
    private bool _isPaused;

    /// <summary>While true, plans are made and shown but nothing is ordered.</summary>
    public bool IsPaused
    {
        get
        {
            lock (_lock)
            {
                return _isPaused;
            }
        }
    }

    /// <summary>Orders of the schedulers before: those that were lost with their term, and those that operators cancelled lately. The latest first.</summary>
    public ImmutableArray<OrderStatus> Inherited
    {
        get
        {
            lock (_lock)
            {
                return _inherited;
            }
        }
    }

    /// <summary>Opens the orders of a plan that are not open already, and returns them. None while paused.</summary>
    public IReadOnlyList<OrderEntry> Open(PlacementPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var opened = new List<OrderEntry>();
        lock (_lock)
        {
            foreach (var order in plan.Orders)
            {
                if (_isPaused || _open.Count >= MaxOpen)
                {
                    break;
                }

                var entry = new OrderEntry { Id = _lastId + 1, Order = order, State = OrderState.Open, OpenedAt = time.GetUtcNow() };
                if (_open.TryAdd(order.Name, entry))
                {
                    _lastId++;
                    _names.Add(entry.Id, order.Name);
                    _unsaved.NoteOpen(entry);
                    opened.Add(entry);
                }
            }
        }

        return opened;
    }

    /// <summary>What a node says of an order. An order that ended stays as it ended.</summary>
    /// <param name="movedBytes">Bytes moved so far.</param>
    /// <param name="message">Why it failed; empty otherwise.</param>
    public void Report(long id, OrderState state, long movedBytes, string message)
    {
        lock (_lock)
        {
            if (Find(id) is { } entry)
            {
                Change(entry with { State = state, MovedBytes = movedBytes, Message = message });
            }
        }
    }

    /// <summary>Ends an open order; its node is told by the caller. False when it is not open.</summary>
    public bool TryCancel(long id, string actor, out OrderEntry? cancelled)
    {
        lock (_lock)
        {
            cancelled = Find(id);
            if (cancelled is null)
            {
                return false;
            }

            cancelled = cancelled with { State = OrderState.Cancelled, Message = $"Cancelled by {actor}." };
            Change(cancelled);
            Note(actor, "cancel", cancelled.Order.Name);
            return true;
        }
    }

    public void SetPaused(bool isPaused, string actor)
    {
        lock (_lock)
        {
            _isPaused = isPaused;
            _unsaved.NotePause();
            Note(actor, isPaused ? "pause" : "resume", "all orders");
        }
    }

    /// <summary>Goes on as the scheduler before did, as a node heard it.</summary>
    public void Inherit(bool isPaused)
    {
        lock (_lock)
        {
            if (isPaused && !_isPaused)
            {
                _isPaused = true;
                _unsaved.NotePause();
            }
        }
    }

    /// <summary>
    /// Goes on where the schedulers before ended, as they wrote it down. Once, before anything else. Their open orders are closed as lost: nodes drop them at the
    /// first word of a follower, and what is still missing is in its first plan. Returns how many.
    /// </summary>
    /// <param name="actor">Who follows.</param>
    public int Inherit(JournalPage page, string actor)
    {
        ArgumentNullException.ThrowIfNull(page);
        lock (_lock)
        {
            var now = time.GetUtcNow();
            _audit = new Queue<AuditLine>(page.Audit.TakeLast(MaxEnded));
            _isPaused = page.IsPaused;
            _lastId = Math.Max(page.LastOrder, page.Orders.Select(order => order.Id).DefaultIfEmpty(0).Max());
            var kept = page.Orders.Select(order => order.State is Cancelled ? order : order with { State = Lost, EndedAt = now, Message = "Its scheduler was followed by another one." });
            _inherited = [.. kept.OrderByDescending(order => order.Id).Take(MaxEnded)];
            foreach (var order in page.Orders)
            {
                if (order.State == Cancelled)
                {
                    _unsaved.Bar(order.Id, order.EndedAt ?? now);
                }
                else
                {
                    _unsaved.NoteGone(order.Id);
                }
            }

            var lost = page.Orders.Count(order => order.State != Cancelled);
            if (lost > 0)
            {
                Note(actor, "take over", $"{lost} open orders of the term before, closed as lost");
            }

            return lost;
        }
    }

    /// <summary>What was not written down yet; null: nothing.</summary>
    internal BookChanges? Unsaved(int mostOrders)
    {
        lock (_lock)
        {
            return _unsaved.Take(_isPaused, _lastId, mostOrders, time.GetUtcNow());
        }
    }

    /// <summary>That much was.</summary>
    internal void Saved(BookChanges changes)
    {
        lock (_lock)
        {
            _unsaved.Saved(changes);
        }
    }

    /// <summary>Notes what an operator did to a node.</summary>
    public void NoteAction(string actor, string action, string subject)
    {
        lock (_lock)
        {
            Note(actor, action, subject);
        }
    }

    /// <summary>Orders that were given or wait to be.</summary>
    public ImmutableArray<OrderEntry> ListOpen()
    {
        lock (_lock)
        {
            return [.. _open.Values];
        }
    }

    /// <summary>Open orders by id, then ended ones, the latest first.</summary>
    public ImmutableArray<OrderEntry> List()
    {
        lock (_lock)
        {
            return [.. _open.Values.OrderBy(entry => entry.Id), .. _ended.Reverse()];
        }
    }

    public ImmutableArray<AuditLine> Audit()
    {
        lock (_lock)
        {
            return [.. _audit];
        }
    }

    private OrderEntry? Find(long id) => _names.TryGetValue(id, out var name) ? _open.GetValueOrDefault(name) : null;

    private void Change(OrderEntry entry)
    {
        if (entry.State is OrderState.Open or OrderState.Running)
        {
            _open[entry.Order.Name] = entry;
            return;
        }

        _open.Remove(entry.Order.Name);
        _names.Remove(entry.Id);
        entry = entry with { EndedAt = time.GetUtcNow() };
        _unsaved.NoteEnded(entry);
        _ended.Enqueue(entry);
        if (_ended.Count > MaxEnded)
        {
            _ended.Dequeue();
        }
    }

    private void Note(string actor, string action, string subject)
    {
        var line = new AuditLine(time.GetUtcNow(), actor, action, subject);
        _unsaved.Note(line);
        _audit.Enqueue(line);
        if (_audit.Count > MaxEnded)
        {
            _audit.Dequeue();
        }
    }
}

/// <summary>An order and how far it is.</summary>
public sealed record OrderEntry
{
    /// <summary>Grows by one per order of this scheduler, from 1.</summary>
    public required long Id { get; init; }

    public required PlacementOrder Order { get; init; }

    public required OrderState State { get; init; }

    public required DateTimeOffset OpenedAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    public long MovedBytes { get; init; }

    public string Message { get; init; } = "";
}

/// <summary>Stored and sent: append only.</summary>
public enum OrderState : byte
{
    /// <summary>Given, and not begun.</summary>
    Open = 1,
    Running = 2,
    Done = 3,

    /// <summary>Ended without all of its blocks; the next plan sees what is missing.</summary>
    Failed = 4,
    Cancelled = 5,
}

/// <param name="Actor">Who: the name of a credential, or the address where there was none.</param>
public sealed record AuditLine(DateTimeOffset At, string Actor, string Action, string Subject);
