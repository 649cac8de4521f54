using KvMesh.Cluster.Demand;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Placement;

namespace KvMesh.Cluster.Placement.Nodes;

/// <summary>This node as the scheduler meets it: what it tells, and what it lets itself be told.</summary>
public sealed class PlacementNode(
    INodeBlocks blocks, OrderExecutor orders, DemandTable demand, BandwidthMeter bandwidth, SessionWatch sessions, DrainMonitor drain, TimeProvider time) : IPlacementNode
{
    private readonly Lock _lock = new();
    private readonly HeldRuns _held = new(time);
    private (long Token, bool IsPaused) _lastAsked;

    /// <summary>State that the node tells while nothing is drained.</summary>
    public bool IsLeaving { get; set; }

    public NodeReport Report(NodeReportRequest request)
    {
        var utilisation = bandwidth.Look();
        var (capacity, free) = blocks.Room;
        return new NodeReport
        {
            HighestToken = NoteAsked(request, out var wasPaused),
            WasPaused = wasPaused,
            State = (byte)(IsLeaving ? NodeState.Leaving : drain.Answer.State == DrainAnswer.Active ? NodeState.Active : NodeState.Draining),
            CapacityBytes = capacity,
            FreeBytes = Math.Max(0, free),
            InBytesPerSecond = bandwidth.InBytesPerSecond,
            OutBytesPerSecond = bandwidth.OutBytesPerSecond,
            Utilisation = utilisation,
            Wanted = [.. demand.Top(PlacementLimits.MaxWanted).Select(TailOf)],
            Sessions = sessions.Recent(),
        };
    }

    public OrderAnswer Give(OrderGiveRequest request) => orders.Give(request);

    public OrderAnswer Cancel(OrderCancelRequest request) => orders.Cancel(request);

    public IReadOnlyList<OrderProgress> Progress(OrderProgressRequest request) => orders.Progress(request);

    /// <summary>As the blocks here know it, or as clients asked for it. Of blocks that are to lose nothing, nothing is told.</summary>
    public ChainAnswer Chain(ChainRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.KeepsLossless)
        {
            blocks.KeepLossless(request.Tenant, request.Tail.Span, request.MostBlocks);
            return ChainAnswer.Empty;
        }

        var keys = new List<ReadOnlyMemory<byte>>();
        var bytes = blocks.ListChain(request.Tenant, request.Tail.Span, request.MostBlocks, keys);
        if (keys.Count < request.MostBlocks && demand.Find(request.Tenant, request.Tail.Span) is { } asked && asked.Count > keys.Count)
        {
            keys = [.. asked.Skip(Math.Max(0, asked.Count - request.MostBlocks))];
            bytes = keys.Sum(key => blocks.TryFind(request.Tenant, key.Span, out var found) ? found : 0);
        }

        var count = keys.Count == 0 ? 0 : PlacementKeys.CountThatFits(keys);
        return count == 0 ? ChainAnswer.Empty : new ChainAnswer(keys.GetRange(keys.Count - count, count), bytes);
    }

    public HoldAnswer Hold(HoldRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!orders.IsInOffice(request.Token))
        {
            return new HoldAnswer(OrderVerdict.StaleToken, 0, orders.HighestToken);
        }

        if (request.EndsEarlier)
        {
            _held.EndEarlier(request.Tenant, request.Token, key => blocks.Hold(request.Tenant, key.Span, TimeSpan.Zero));
        }

        if (request.Duration > TimeSpan.Zero && request.Keys.Count > 0)
        {
            _held.Note(request);
        }

        var held = 0;
        foreach (var key in request.Keys)
        {
            switch (blocks.Hold(request.Tenant, key.Span, request.Duration))
            {
                case BlockHold.Held:
                    held++;
                    break;
                case BlockHold.Full:
                    return new HoldAnswer(OrderVerdict.Full, held, request.Token);
                default:
                    return new HoldAnswer(OrderVerdict.Unknown, held, request.Token);
            }
        }

        return new HoldAnswer(OrderVerdict.Taken, held, request.Token);
    }

    public DrainAnswer Drain(DrainRequest request)
    {
        if (request.Action == DrainAction.Ask)
        {
            return drain.Answer;
        }

        return !orders.IsInOffice(request.Token) ? drain.Answer with { IsStale = true }
            : request.Action == DrainAction.Begin ? drain.Begin()
            : drain.End();
    }

    public LeavingRun Leaving(LeavingRequest request) => drain.RunAt(request.Index);

    /// <summary>Remembers whether orders are paused, for the scheduler that follows. Returns the highest token of this node.</summary>
    private long NoteAsked(NodeReportRequest request, out bool wasPaused)
    {
        lock (_lock)
        {
            wasPaused = _lastAsked.IsPaused;
            if (orders.IsInOffice(request.Token))
            {
                _lastAsked = (request.Token, request.IsPaused);
            }

            return orders.HighestToken;
        }
    }

    private static WantedTail TailOf(WantedPrefix prefix) =>
        new(prefix.Tenant, prefix.Keys[^1], prefix.Keys.Count, prefix.Bytes, prefix.RequestsPerSecond);
}
