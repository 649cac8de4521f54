using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Tests.Placement;

/// <summary>Builds inputs of the planner from few words. Nodes are named a, b, c …, each on a machine of its own.</summary>
internal sealed class Scene
{
    public const long BlockBytes = 1 << 20;

    private readonly List<NodeRecord> _nodes = [];
    private readonly List<NodeLoad> _loads = [];
    private readonly List<PrefixState> _prefixes = [];
    private readonly List<SessionState> _sessions = [];

    public static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public PlacementOptions Options { get; init; } = new();

    public static NodeId Id(string name) => NodeId.Parse(name);

    public Scene Node(string name, NodeState state = NodeState.Active, long free = 8L << 30, double utilisation = 0, string? machine = null)
    {
        _nodes.Add(new NodeRecord { Id = Id(name), NativeAddress = $"{name}:1", State = state, Machine = machine ?? name });
        _loads.Add(new NodeLoad(Id(name), 16L << 30, free, 1e9, 1e9, utilisation));
        return this;
    }

    /// <param name="holdings">Node and blocks from the first, such as "a:8", or from another one, such as "a:16+8".</param>
    /// <param name="demand">Node and requests per second, such as "b:2".</param>
    public Scene Prefix(ulong tail, int blocks, string holdings, string demand = "")
    {
        var keys = Enumerable.Range(0, blocks).Select(index => (ReadOnlyMemory<byte>)BitConverter.GetBytes(((long)tail << 32) + index));
        _prefixes.Add(new PrefixState(
            new ChainPrefix { Tenant = "t", Tail = new KeyDigest(tail, 0), Keys = [.. keys], Bytes = blocks * BlockBytes },
            [.. Runs(holdings)],
            [.. Pairs(demand).Select(pair => new NodeDemand(Id(pair.Name), pair.Number))]));
        return this;
    }

    public Scene Session(ulong tail, int replicas = 0, double? returnsIn = null, string? returnsTo = null, bool isGuessed = false)
    {
        _sessions.Add(new SessionState(
            "t", $"s{tail}", new KeyDigest(tail, 0), replicas, returnsIn is { } seconds ? Now.AddSeconds(seconds) : null, returnsTo is null ? null : Id(returnsTo))
        {
            IsReturnGuessed = isGuessed,
        });
        return this;
    }

    public PlacementInput Input() => new()
    {
        Now = Now,
        View = new ClusterView(1, [.. _nodes], isFrozen: false),
        Loads = [.. _loads],
        Prefixes = [.. _prefixes],
        Sessions = [.. _sessions],
        Options = Options,
    };

    public PlacementPlan Plan() => PlacementPlanner.Plan(Input());

    /// <summary>The orders as text: kind, tail, run, source and target.</summary>
    public string[] Orders() =>
    [
        .. Plan().Orders.Select(order => $"{order.Kind} {order.Prefix.Tail.Low} {order.FirstBlock}+{order.Blocks} {order.Sources[0]}>{order.Target}"),
    ];

    private static IEnumerable<Holding> Runs(string text) =>
        text.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split(':', '+'))
            .Select(run => run.Length == 3 ? new Holding(Id(run[0]), int.Parse(run[1], null), int.Parse(run[2], null)) : new Holding(Id(run[0]), 0, int.Parse(run[1], null)));

    private static IEnumerable<(string Name, double Number)> Pairs(string text) =>
        text.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split(':'))
            .Select(pair => (pair[0], double.Parse(pair[1], System.Globalization.CultureInfo.InvariantCulture)));
}
