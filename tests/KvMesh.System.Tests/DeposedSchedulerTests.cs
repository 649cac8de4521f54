using System.Globalization;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.System.Tests;

/// <summary>The node that plans hangs for longer than its lease lasts. When it goes on it believes that it plans, and nobody follows it.</summary>
[Trait("Category", "System")]
public sealed class DeposedSchedulerTests
{
    /// <summary>
    /// Times that a node is deposed at most. One whose question to Redis was under way when it hung knows at once that it missed something, and asks nobody; on a
    /// busy machine another one learns it from Redis's silence before it has asked everybody.
    /// </summary>
    private const int MaxTries = 10;

    private static readonly TimeSpan Try = TimeSpan.FromSeconds(15);

    [Fact]
    public async Task A_scheduler_that_wakes_behind_its_lease_is_refused_by_every_node()
    {
        await using var redis = await RestartableRedis.StartAsync();
        using NodeFolders first = new(), second = new(), third = new();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        await using var c = await StartAsync(third, redis, "c");
        using var http = new HttpClient { Timeout = Eventually.Patience };
        NodeProcess[] nodes = [a, b, c];
        foreach (var node in nodes)
        {
            using var admin = MeshOfThree.Admin(node);
            await Eventually.Holds(async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Count == nodes.Length, "three nodes in the view of each");
        }

        HashSet<NodeProcess> refusing = [];
        for (var tries = 0; tries < MaxTries && refusing.Count < nodes.Length - 1; tries++)
        {
            var deposed = await PlannerAsync(nodes);
            refusing.UnionWith(await DeposeAsync(deposed, [.. nodes.Except([deposed])]));
            await Eventually.Holds(async () => await ReadAsync(deposed, "kvmesh_placement_scheduler") == 0, "the end of the term of the node that was deposed");
        }

        Assert.True(refusing.Count >= nodes.Length - 1, $"{refusing.Count} nodes refused a deposed scheduler in {MaxTries} tries");
        await PlannerAsync(nodes);

        // Returns which of the others refused it.
        async Task<IEnumerable<NodeProcess>> DeposeAsync(NodeProcess planner, NodeProcess[] others)
        {
            var before = await RefusedAsync(others);
            await planner.Process.SignalAsync("STOP");
            try
            {
                var follower = await PlannerAsync(others);

                // Each plan asks all nodes, who know from it that there is another term.
                var plans = await ReadAsync(follower, "kvmesh_placement_plans_total");
                await Eventually.Holds(async () => await ReadAsync(follower, "kvmesh_placement_plans_total") > plans + 2, "plans of the follower");

                // While the store hangs nobody but the nodes can tell the old scheduler that it is one.
                await redis.SignalAsync("STOP");
                await planner.Process.SignalAsync("CONT");
                var startedAt = TimeProvider.System.GetTimestamp();
                var refused = new List<NodeProcess>();
                for (var isOver = false; refused.Count < others.Length && !isOver;)
                {
                    // What was asked before the end of the term has its answer by the next look.
                    isOver = TimeProvider.System.GetElapsedTime(startedAt) > Try || await ReadAsync(planner, "kvmesh_placement_scheduler") == 0;
                    var now = await RefusedAsync(others);
                    refused = [.. others.Where((_, index) => now[index] > before[index])];
                    await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
                }

                return refused;
            }
            finally
            {
                await planner.Process.SignalAsync("CONT");
                await redis.SignalAsync("CONT");
            }
        }

        // The one node of these that plans.
        async Task<NodeProcess> PlannerAsync(NodeProcess[] among)
        {
            NodeProcess? planner = null;
            await Eventually.Holds(
                async () =>
                {
                    var terms = await Task.WhenAll(among.Select(node => ReadAsync(node, "kvmesh_placement_scheduler")));
                    planner = terms.Sum() == 1 ? among[Array.IndexOf(terms, 1)] : null;
                    return planner is not null;
                },
                "one node that plans");
            return planner!;
        }

        Task<long[]> RefusedAsync(NodeProcess[] others) => Task.WhenAll(others.Select(node => ReadAsync(node, "kvmesh_placement_refused_total")));

        async Task<long> ReadAsync(NodeProcess node, string metric)
        {
            var text = await http.GetStringAsync(new Uri(node.Addresses.Http, "metrics"));
            var line = text.Split('\n').FirstOrDefault(each => each.StartsWith(metric + " ", StringComparison.Ordinal) || each.StartsWith(metric + "{", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
        }
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RestartableRedis redis, string id)
    {
        folders.Environment["KVMESH_Mesh__Redis"] = redis.Address;
        folders.Environment["KVMESH_Mesh__NodeId"] = id;
        folders.Environment["KVMESH_Placement__Step"] = "100ms";
        folders.Environment["KVMESH_Placement__DrainTimeout"] = "0s";
        return NodeProcess.StartAsync(folders, "--arena", "16MiB");
    }
}
