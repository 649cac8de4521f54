using System.Diagnostics;
using KvMesh.Cluster.Demand;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Protocol.Keys;

namespace KvMesh.Simulation.Mesh;

/// <summary>The scheduler of a simulated fleet: asks the nodes what is wanted, plans, and carries the orders out at once.</summary>
internal sealed class PlacementDriver(MeshScenario scenario, SimulatedNode[] nodes, BlockDirectory directory, TimeProvider time)
{
    /// <summary>Most wanted prefixes that each node names, and that a plan looks at.</summary>
    private const int PrefixesPerNode = 32;
    private const int PrefixesPerPlan = 512;

    /// <summary>Longest holders of a prefix that a plan is told of, beside the nodes that ask for it.</summary>
    private const int HoldersPerPrefix = 8;

    private readonly List<double> _planMilliseconds = [];
    private readonly Dictionary<int, int> _lengths = [];
    private long _lastPlan = time.GetTimestamp();

    public long MovedBytes { get; private set; }

    public int Orders { get; private set; }

    public int Plans => _planMilliseconds.Count;

    public (double Median, double P99) PlanMilliseconds
    {
        get
        {
            if (_planMilliseconds.Count == 0)
            {
                return default;
            }

            var sorted = _planMilliseconds.Order().ToArray();
            return (sorted[sorted.Length / 2], sorted[(int)(sorted.Length * 0.99)]);
        }
    }

    public void PlanWhenDue()
    {
        var elapsed = time.GetElapsedTime(_lastPlan);
        if (elapsed < scenario.Placement.Step)
        {
            return;
        }

        _lastPlan = time.GetTimestamp();
        var input = Collect(elapsed.TotalSeconds);
        var start = Stopwatch.GetTimestamp();
        var plan = PlacementPlanner.Plan(input);
        _planMilliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        foreach (var order in plan.Orders)
        {
            CarryOut(order);
        }
    }

    private PlacementInput Collect(double seconds)
    {
        var wanted = new Dictionary<KeyDigest, (WantedPrefix Prefix, List<NodeDemand> Demand)>();
        foreach (var node in nodes.Where(node => node.IsUp))
        {
            foreach (var prefix in node.Demand.Top(PrefixesPerNode))
            {
                if (!wanted.TryGetValue(prefix.Tail, out var entry))
                {
                    wanted.Add(prefix.Tail, entry = (prefix, []));
                }

                entry.Demand.Add(new NodeDemand(node.Id, prefix.RequestsPerSecond));
            }
        }

        var hottest = wanted.Values
            .OrderByDescending(entry => entry.Demand.Sum(demand => demand.RequestsPerSecond) * entry.Prefix.Keys.Count)
            .ThenBy(entry => entry.Prefix.Tail.Low)
            .Take(PrefixesPerPlan);
        return new PlacementInput
        {
            Now = time.GetUtcNow(),
            View = new ClusterView(1, [.. nodes.Where(node => node.IsUp).Select(node => new NodeRecord { Id = node.Id, NativeAddress = "", Machine = node.Id.Value })], isFrozen: false),
            Loads = [.. nodes.Where(node => node.IsUp).Select(node => LoadOf(node, seconds))],
            Prefixes = [.. hottest.Select(entry => StateOf(entry.Prefix, entry.Demand))],
            Options = scenario.Placement,
        };
    }

    private NodeLoad LoadOf(SimulatedNode node, double seconds)
    {
        var utilisation = Math.Min(1, node.SentBytes / (scenario.LinkBytesPerSecond * seconds));
        node.SentBytes = 0;
        return new NodeLoad(
            node.Id, scenario.BlocksPerNode * scenario.BlockBytes, (node.Cache.Capacity - node.Cache.Count) * scenario.BlockBytes,
            scenario.LinkBytesPerSecond, scenario.LinkBytesPerSecond, utilisation);
    }

    private PrefixState StateOf(WantedPrefix prefix, List<NodeDemand> demand)
    {
        var chain = prefix.Keys.Select(key => BitConverter.ToUInt64(key.Span)).ToArray();
        directory.PrefixLengths(chain, _lengths);
        var asking = demand.Select(entry => entry.Node).ToHashSet();
        var longest = _lengths.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key).Take(HoldersPerPrefix).Select(pair => pair.Key).ToHashSet();
        return new PrefixState(
            new ChainPrefix { Tenant = prefix.Tenant, Tail = prefix.Tail, Keys = [.. prefix.Keys], Bytes = prefix.Bytes },
            [
                .. _lengths
                    .Where(pair => longest.Contains(pair.Key) || asking.Contains(nodes[pair.Key].Id))
                    .OrderBy(pair => pair.Key)
                    .Select(pair => new Holding(nodes[pair.Key].Id, 0, pair.Value)),
            ],
            [.. demand]);
    }

    private void CarryOut(PlacementOrder order)
    {
        Orders++;
        var target = nodes.First(node => node.Id == order.Target);
        for (var index = order.FirstBlock + order.Blocks - 1; index >= order.FirstBlock; index--)
        {
            var id = BitConverter.ToUInt64(order.Prefix.Keys[index].Span);
            if (target.Cache.Touch(id, out var victim))
            {
                continue;
            }

            MovedBytes += scenario.BlockBytes;
            directory.Add(id, target.Index);
            if (victim is { } left)
            {
                directory.Remove(left, target.Index);
            }
        }
    }
}
