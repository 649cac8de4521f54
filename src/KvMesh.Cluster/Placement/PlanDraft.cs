using System.Collections.Immutable;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Placement;

/// <summary>
/// A plan that is being made: what the input says, what the orders so far would change, and what is left of the budget. Rules ask it and
/// propose; it decides how much of a proposal fits.
/// </summary>
internal sealed class PlanDraft
{
    private readonly Dictionary<NodeId, NodeBudget> _nodes = [];
    private readonly Dictionary<(string Tenant, KeyDigest Tail), Dictionary<NodeId, List<(int First, int End)>>> _runs = [];
    private readonly Dictionary<(string, KeyDigest), PrefixState> _prefixes = [];
    private readonly List<PlacementOrder> _orders = [];
    private readonly List<DeferredOrder> _deferred = [];
    private long _bytesLeft;

    public PlanDraft(PlacementInput input)
    {
        Input = input;
        _bytesLeft = input.Options.BytesPerStep;
        foreach (var load in input.Loads)
        {
            if (input.View.Find(load.Node) is { State: not NodeState.Leaving } node)
            {
                _nodes[load.Node] = new NodeBudget(node, load, input.Options);
            }
        }

        Targets = [.. _nodes.Values.Where(node => node.Record.State == NodeState.Active).OrderBy(node => node.Record.Id.Value, StringComparer.Ordinal)];
        foreach (var state in input.Prefixes)
        {
            _prefixes[(state.Prefix.Tenant, state.Prefix.Tail)] = state;
            foreach (var holding in state.Holdings.Concat(state.Coming).Where(holding => _nodes.ContainsKey(holding.Node)))
            {
                AddRun(state, holding.Node, (holding.FirstBlock, Math.Min(holding.FirstBlock + holding.Blocks, state.Prefix.Blocks)));
            }
        }
    }

    public PlacementInput Input { get; }

    public PlacementOptions Options => Input.Options;

    /// <summary>Nodes that take orders, in the order of their ids.</summary>
    public IReadOnlyList<NodeBudget> Targets { get; }

    public NodeBudget? NodeOf(NodeId id) => _nodes.GetValueOrDefault(id);

    public PrefixState? PrefixOf(SessionState session) => _prefixes.GetValueOrDefault((session.Tenant, session.Tail));

    /// <summary>Blocks from the first without a gap that a node holds, or will when the orders so far are carried out.</summary>
    public int BlocksAt(PrefixState state, NodeId node) => EndOfRun(state, node, 0);

    /// <summary>Nodes that take orders and hold, or will hold, all of a prefix.</summary>
    public IEnumerable<NodeBudget> WholeCopies(PrefixState state) =>
        _runs.TryGetValue((state.Prefix.Tenant, state.Prefix.Tail), out var nodes)
            ? nodes.Keys
                .Select(node => _nodes[node])
                .Where(node => node.Record.State == NodeState.Active && BlocksAt(state, node.Record.Id) == state.Prefix.Blocks)
            : [];

    /// <summary>The first block from <paramref name="from"/> on that a node lacks.</summary>
    public int EndOfRun(PrefixState state, NodeId node, int from)
    {
        var end = from;
        if (RunsOf(state, node) is not { } runs)
        {
            return end;
        }

        for (var hasGrown = true; hasGrown;)
        {
            hasGrown = false;
            foreach (var run in runs)
            {
                if (run.First <= end && run.End > end)
                {
                    end = run.End;
                    hasGrown = true;
                }
            }
        }

        return end;
    }

    /// <summary>Seconds that a node waits for blocks of a prefix, pulled at full speed from its best holder.</summary>
    public double PullSeconds(PrefixState state, NodeBudget target, int blocks)
    {
        var fastest = state.Holdings.Select(holding => NodeOf(holding.Node)?.Load.OutBytesPerSecond ?? 0).DefaultIfEmpty(0).Max();
        return state.Prefix.BytesOf(blocks) / Math.Max(1, Math.Min(target.Load.InBytesPerSecond, fastest));
    }

    /// <summary>
    /// An order that brings a target what it lacks of blocks <paramref name="from"/> to <paramref name="end"/>, as far as a single living node
    /// can give it; null when the target has it or nobody can.
    /// </summary>
    public PlacementOrder? Pull(OrderKind kind, PrefixState state, NodeBudget target, int from, int end, double savedPerBlock, string reason)
    {
        var first = EndOfRun(state, target.Record.Id, from);
        if (first >= end || state.Barred.Contains(target.Record.Id))
        {
            return null;
        }

        var sources = state.Holdings
            .Where(holding => holding.Node != target.Record.Id && holding.FirstBlock <= first && holding.FirstBlock + holding.Blocks > first)
            .Select(holding => (Node: NodeOf(holding.Node), End: Math.Min(holding.FirstBlock + holding.Blocks, end)))
            .Where(source => source.Node is not null)
            .OrderByDescending(source => source.End)
            .ThenBy(source => source.Node!.Load.Utilisation)
            .ThenBy(source => Tie(state, source.Node!.Record.Id))
            .ToArray();
        if (sources.Length == 0)
        {
            return null;
        }

        var blocks = sources[0].End - first;
        var speed = Math.Max(1, Math.Min(target.Load.InBytesPerSecond, sources[0].Node!.Load.OutBytesPerSecond));
        return new PlacementOrder
        {
            Kind = kind,
            Prefix = state.Prefix,
            FirstBlock = first,
            Blocks = blocks,
            Target = target.Record.Id,
            Sources = [.. sources.Where(source => source.End == sources[0].End).Select(source => source.Node!.Record.Id).Distinct()],
            CostSeconds = state.Prefix.BytesOf(blocks) / speed,
            BenefitSeconds = savedPerBlock * blocks,
            Reason = reason,
        };
    }

    /// <summary>
    /// Takes as many of the order's blocks as the budgets allow, first ones first, so that a later plan goes on where this one
    /// ends. What does not fit is deferred.
    /// </summary>
    public void Add(PrefixState state, PlacementOrder order, bool isPromised)
    {
        if (EndOfRun(state, order.Target, order.FirstBlock) > order.FirstBlock)
        {
            return;
        }

        var blockBytes = Math.Max(1, order.Prefix.BytesOf(1));
        var target = _nodes[order.Target];
        var source = _nodes[order.Sources[0]];
        var (room, why) = Smallest(
            (_bytesLeft, "the bytes of this step are spent"),
            (target.InBytesLeft, $"{order.Target} takes no more in this step"),
            (source.OutBytesLeft, $"{order.Sources[0]} gives no more in this step"),
            (isPromised ? long.MaxValue : target.RoomBytesLeft, $"{order.Target} would have to let too much go"));
        var blocks = (int)Math.Min(order.Blocks, room / blockBytes);
        if (blocks == 0 && (isPromised || target.RoomBytesLeft >= blockBytes) && IsTurnOfLarge(state, target, source, blockBytes))
        {
            blocks = 1;
        }

        if (blocks < order.Blocks)
        {
            _deferred.Add(new DeferredOrder(Part(order, order.FirstBlock + blocks, order.Blocks - blocks), why));
        }

        if (blocks == 0)
        {
            return;
        }

        var taken = Part(order, order.FirstBlock, blocks);
        _orders.Add(taken);
        _bytesLeft -= taken.Bytes;
        target.Take(taken.Bytes);
        source.Give(taken.Bytes);
        AddRun(state, order.Target, (taken.FirstBlock, taken.FirstBlock + blocks));
    }

    public PlacementPlan Build() => new([.. _orders], [.. _deferred]);

    /// <summary>A number that orders equals differently from prefix to prefix, and equally on every node.</summary>
    public int Tie(PrefixState state, NodeId node)
    {
        var hash = (uint)Options.Seed ^ (uint)state.Prefix.Tail.Low;
        foreach (var letter in node.Value)
        {
            hash = (hash ^ letter) * 16_777_619;
        }

        return (int)(hash >> 1);
    }

    /// <summary>
    /// A block that is larger than what a step may move goes alone, in one of as many steps as it fills: over them the shares hold. Which of them is the same on
    /// every node, and another one for each prefix and target.
    /// </summary>
    private bool IsTurnOfLarge(PrefixState state, NodeBudget target, NodeBudget source, long blockBytes)
    {
        var share = Math.Min(Options.BytesPerStep, Math.Min(target.InShareBytes, source.OutShareBytes));
        if (share <= 0 || share >= blockBytes || !target.TakesNothing || !source.GivesNothing || (Options.BytesPerStep < blockBytes && _orders.Count > 0))
        {
            return false;
        }

        var steps = (blockBytes + share - 1) / share;
        return Input.Now.Ticks / Options.Step.Ticks % steps == Tie(state, target.Record.Id) % steps;
    }

    private static PlacementOrder Part(PlacementOrder order, int first, int blocks) => order with
    {
        FirstBlock = first,
        Blocks = blocks,
        CostSeconds = order.CostSeconds * blocks / order.Blocks,
        BenefitSeconds = order.BenefitSeconds * blocks / order.Blocks,
    };

    private static (long Bytes, string Why) Smallest(params ReadOnlySpan<(long Bytes, string Why)> limits)
    {
        var smallest = limits[0];
        foreach (var limit in limits)
        {
            smallest = limit.Bytes < smallest.Bytes ? limit : smallest;
        }

        return smallest;
    }

    private List<(int First, int End)>? RunsOf(PrefixState state, NodeId node) =>
        _runs.TryGetValue((state.Prefix.Tenant, state.Prefix.Tail), out var nodes) ? nodes.GetValueOrDefault(node) : null;

    private void AddRun(PrefixState state, NodeId node, (int First, int End) run)
    {
        var key = (state.Prefix.Tenant, state.Prefix.Tail);
        if (!_runs.TryGetValue(key, out var nodes))
        {
            _runs.Add(key, nodes = []);
        }

        if (!nodes.TryGetValue(node, out var runs))
        {
            nodes.Add(node, runs = []);
        }

        runs.Add(run);
    }
}
