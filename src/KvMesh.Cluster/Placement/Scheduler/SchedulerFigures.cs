using System.Collections.Concurrent;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>Counts of this node's terms as scheduler, since the process started. Any thread.</summary>
public sealed class SchedulerFigures
{
    private readonly ConcurrentDictionary<(OrderKind Kind, OrderState State), long> _orders = new();
    private long _plans;
    private long _planTicks;
    private long _failedSteps;
    private long _silentNodes;
    private long _lostOrders;
    private long _unsaved;
    private long _pendingPins;
    private long _pinWaitTicks;

    public long Plans => Interlocked.Read(ref _plans);

    /// <summary>Time spent in planning alone.</summary>
    public TimeSpan PlanTime => TimeSpan.FromTicks(Interlocked.Read(ref _planTicks));

    public long FailedSteps => Interlocked.Read(ref _failedSteps);

    /// <summary>Nodes of the view that did not report in a step, summed over steps.</summary>
    public long SilentNodes => Interlocked.Read(ref _silentNodes);

    /// <summary>Open orders of schedulers before this node that it closed when it followed them.</summary>
    public long LostOrders => Interlocked.Read(ref _lostOrders);

    /// <summary>Times that a silent store did not take what must outlive the term.</summary>
    public long Unsaved => Interlocked.Read(ref _unsaved);

    /// <summary>Pins that waited for copies at the last step.</summary>
    public long PendingPins => Interlocked.Read(ref _pendingPins);

    /// <summary>For how long the oldest of them had waited, as far as this scheduler has seen it.</summary>
    public TimeSpan PinWait => TimeSpan.FromTicks(Interlocked.Read(ref _pinWaitTicks));

    /// <summary>Orders by kind and how they ended; <see cref="OrderState.Open"/> counts those that were opened.</summary>
    public IEnumerable<(OrderKind Kind, OrderState State, long Count)> Orders => _orders.Select(pair => (pair.Key.Kind, pair.Key.State, pair.Value));

    internal void NotePlan(TimeSpan time)
    {
        Interlocked.Increment(ref _plans);
        Interlocked.Add(ref _planTicks, time.Ticks);
    }

    internal void NoteOrder(OrderKind kind, OrderState state) => _orders.AddOrUpdate((kind, state), 1, static (_, count) => count + 1);

    internal void NotePins(int pending, TimeSpan longestWait)
    {
        Interlocked.Exchange(ref _pendingPins, pending);
        Interlocked.Exchange(ref _pinWaitTicks, longestWait.Ticks);
    }

    internal void NoteLost(int orders) => Interlocked.Add(ref _lostOrders, orders);

    internal void NoteUnsaved() => Interlocked.Increment(ref _unsaved);

    internal void NoteFailedStep() => Interlocked.Increment(ref _failedSteps);

    internal void NoteSilent(int nodes) => Interlocked.Add(ref _silentNodes, nodes);
}
