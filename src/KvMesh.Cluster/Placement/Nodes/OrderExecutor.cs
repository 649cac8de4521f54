using KvMesh.Cluster.Scheduling;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>
/// Carries out the orders of the scheduler in office on its node. Blocks come in the order of the keys, so that what is here of a prefix is always
/// of use, a few at a time; promises before guesses. Blocks for a pin are kept from their arrival until the scheduler has had the time to ask for that: in a small and
/// busy node they would be gone by then. Orders of another term than the newest are dropped as soon as the node hears of a newer one, from whomever: nobody would
/// look at them any more. Any thread.
/// </summary>
public sealed class OrderExecutor(INodeBlocks blocks, OrderGate gate, BandwidthMeter bandwidth)
{
    /// <summary>Orders that wait or run; one more is refused.</summary>
    public const int MaxOpen = 256;

    /// <summary>Ended orders that are remembered for questions about them.</summary>
    private const int MaxEnded = 2048;

    /// <summary>Blocks that are asked for at a time: enough to keep a link busy, and no more than a cancelled order still brings.</summary>
    private const int MaxUnderWay = 8;

    /// <summary>How long a block for a pin is kept without being asked for: many steps of a scheduler, and much less than a pin.</summary>
    private static readonly TimeSpan KeptOnArrival = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<long, Order> _orders = [];
    private readonly Queue<long> _ended = new();
    private long _token;
    private int _open;
    private int _underWay;

    /// <summary>Counts of this node's orders.</summary>
    public OrderFigures Figures { get; } = new();

    /// <summary>The highest fencing token that this node has met.</summary>
    public long HighestToken => gate.Highest;

    public OrderAnswer Give(OrderGiveRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!IsInOffice(request.Token))
        {
            return new OrderAnswer(OrderVerdict.StaleToken, gate.Highest);
        }

        lock (_lock)
        {
            if (_orders.ContainsKey(request.Id))
            {
                return new OrderAnswer(OrderVerdict.Taken, request.Token);
            }

            if (!blocks.Tenants.Contains(request.Tenant))
            {
                return new OrderAnswer(OrderVerdict.Unknown, request.Token);
            }

            if (_open >= MaxOpen)
            {
                return new OrderAnswer(OrderVerdict.Full, request.Token);
            }

            _orders.Add(request.Id, new Order(request));
            _open++;
        }

        Pump();
        return new OrderAnswer(OrderVerdict.Taken, request.Token);
    }

    public OrderAnswer Cancel(OrderCancelRequest request)
    {
        if (!IsInOffice(request.Token))
        {
            return new OrderAnswer(OrderVerdict.StaleToken, gate.Highest);
        }

        lock (_lock)
        {
            if (!_orders.TryGetValue(request.Id, out var order))
            {
                return new OrderAnswer(OrderVerdict.Unknown, request.Token);
            }

            if (order.IsOpen)
            {
                EndNeedsLock(order, OrderState.Cancelled, "");
            }

            return new OrderAnswer(OrderVerdict.Taken, request.Token);
        }
    }

    public IReadOnlyList<OrderProgress> Progress(OrderProgressRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        lock (_lock)
        {
            return
            [
                .. request.Ids.Select(id => request.Token == _token && _orders.TryGetValue(id, out var order)
                    ? new OrderProgress(id, (byte)order.State, order.Arrived, order.MovedBytes, order.Message)
                    : new OrderProgress(id, 0, 0, 0, "")),
            ];
        }
    }

    /// <summary>Whether a token is the newest that this node has met; an older one is counted. A newer one ends the orders of the terms before.</summary>
    public bool IsInOffice(long token)
    {
        if (gate.Validate(token))
        {
            lock (_lock)
            {
                BeginTerm_NeedsLock(token);
            }

            return true;
        }

        Figures.NoteRefused();
        return false;
    }

    /// <summary>Another scheduler knows nothing of the orders before it, and nobody would ask about them.</summary>
    private void BeginTerm_NeedsLock(long token)
    {
        if (token <= _token)
        {
            return;
        }

        foreach (var order in _orders.Values.Where(order => order.IsOpen))
        {
            order.State = OrderState.Cancelled;
            Figures.NoteEnded(order.Kind, OrderState.Cancelled);
        }

        _token = token;
        _orders.Clear();
        _ended.Clear();
        _open = 0;
    }

    /// <summary>Asks for blocks until enough are under way.</summary>
    private void Pump()
    {
        while (true)
        {
            Order? order;
            int index;
            lock (_lock)
            {
                BeginTerm_NeedsLock(gate.Highest);
                order = _underWay < MaxUnderWay ? NextNeedsLock() : null;
                if (order is null)
                {
                    return;
                }

                index = order.Next++;
                order.UnderWay++;
                order.State = OrderState.Running;
                if (_underWay++ == 0)
                {
                    bandwidth.BeginPulling();
                }
            }

            if (!blocks.TryFetch(order.Tenant, order.Keys[index], index > 0 ? order.Keys[index - 1] : default, (arrival, bytes) => Arrive(order, index, arrival, bytes)))
            {
                Settle(order, BlockArrival.Failed, 0);
            }
        }
    }

    private Order? NextNeedsLock()
    {
        Order? first = null;
        foreach (var order in _orders.Values)
        {
            if (order.IsOpen && order.Next < order.Keys.Count && (first is null || (order.Kind, order.Id).CompareTo((first.Kind, first.Id)) < 0))
            {
                first = order;
            }
        }

        return first;
    }

    private void Arrive(Order order, int index, BlockArrival arrival, long bytes)
    {
        if (order.Kind == OrderKind.RestorePin && arrival != BlockArrival.Failed && blocks.Hold(order.Tenant, order.Keys[index].Span, KeptOnArrival) == BlockHold.Missing)
        {
            arrival = BlockArrival.Failed;
        }

        Settle(order, arrival, bytes);
        Pump();
    }

    private void Settle(Order order, BlockArrival arrival, long bytes)
    {
        lock (_lock)
        {
            _underWay--;
            bandwidth.NotePulled(bytes, isLast: _underWay == 0);
            order.UnderWay--;
            order.Arrived += arrival == BlockArrival.Failed ? 0 : 1;
            order.WereHere += arrival == BlockArrival.WasHere ? 1 : 0;
            order.MovedBytes += bytes;
            Figures.NoteBlock(arrival, bytes);
            if (order is not { IsOpen: true, UnderWay: 0 } || order.Next < order.Keys.Count)
            {
                return;
            }

            var missing = order.Keys.Count - order.Arrived;
            EndNeedsLock(
                order, missing == 0 ? OrderState.Done : OrderState.Failed,
                missing > 0 ? $"{missing} of {order.Keys.Count} blocks did not come."
                    : order.WereHere > 0 ? $"{order.WereHere} of {order.Keys.Count} blocks were here already."
                    : "");
        }
    }

    private void EndNeedsLock(Order order, OrderState state, string message)
    {
        order.State = state;
        order.Message = message;
        Figures.NoteEnded(order.Kind, state);
        _open--;
        _ended.Enqueue(order.Id);
        if (_ended.Count > MaxEnded)
        {
            _orders.Remove(_ended.Dequeue());
        }
    }

    private sealed class Order(OrderGiveRequest request)
    {
        public long Id => request.Id;

        public OrderKind Kind => (OrderKind)request.Kind;

        public string Tenant => request.Tenant;

        public IReadOnlyList<ReadOnlyMemory<byte>> Keys => request.Keys;

        public OrderState State { get; set; } = OrderState.Open;

        public bool IsOpen => State is OrderState.Open or OrderState.Running;

        /// <summary>Index of the key that is asked for next.</summary>
        public int Next { get; set; }

        public int UnderWay { get; set; }

        public int Arrived { get; set; }

        /// <summary>Those of them that nobody had to bring.</summary>
        public int WereHere { get; set; }

        public long MovedBytes { get; set; }

        public string Message { get; set; } = "";
    }
}
