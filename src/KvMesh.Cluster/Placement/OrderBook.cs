using System.Collections.Immutable;

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

    private readonly Lock _lock = new();
    private readonly Dictionary<string, OrderEntry> _open = new(StringComparer.Ordinal);
    private readonly Queue<OrderEntry> _ended = new();
    private readonly Queue<AuditLine> _audit = new();
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
            Note(actor, isPaused ? "pause" : "resume", "all orders");
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

    private OrderEntry? Find(long id) => _open.Values.FirstOrDefault(entry => entry.Id == id);

    private void Change(OrderEntry entry)
    {
        if (entry.State is OrderState.Open or OrderState.Running)
        {
            _open[entry.Order.Name] = entry;
            return;
        }

        _open.Remove(entry.Order.Name);
        _ended.Enqueue(entry with { EndedAt = time.GetUtcNow() });
        if (_ended.Count > MaxEnded)
        {
            _ended.Dequeue();
        }
    }

    private void Note(string actor, string action, string subject)
    {
        _audit.Enqueue(new AuditLine(time.GetUtcNow(), actor, action, subject));
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
