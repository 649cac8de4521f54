using KvMesh.Cli.Hosting;
using KvMesh.Cli.Workload;
using KvMesh.Engine.Telemetry;
using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Demo;

/// <summary>One front door of the demo with the engines that use it.</summary>
/// <param name="Key">Name in JSON.</param>
/// <param name="Title">Name for people.</param>
internal sealed record DemoLane(string Key, string Title, WorkloadFleet Fleet, WorkloadRunner Runner);

/// <summary>
/// The demo's workload: engines at three doors of one node, with chats of their own and system prompts that all of them share.
/// </summary>
internal sealed class DemoSession : IAsyncDisposable
{
    private static readonly (string Key, string Title, Via Via, int Clients)[] Doors =
    [
        ("native", "native TCP", Via.Native, 2),
        ("shm", "shared memory", Via.Shm, 2),
        ("resp", "RESP, as LMCache", Via.Resp, 1),
    ];

    private readonly EmbeddedNode _node;
    private readonly List<DemoLane> _lanes = [];

    private DemoSession(EmbeddedNode node)
    {
        _node = node;
    }

    public IReadOnlyList<DemoLane> Lanes => _lanes;

    public int RequestCount => _lanes.Sum(lane => lane.Runner.RequestCount);

    public WorkloadTotals Totals => _lanes.Aggregate(default(WorkloadTotals), (sum, lane) => sum + lane.Runner.Totals);

    public TimeSpan Elapsed => _lanes.Max(lane => lane.Runner.Elapsed);

    /// <summary>The node's tiers at this moment.</summary>
    public IReadOnlyList<TierSnapshot> Tiers => _node.Node.Engine.Snapshot().Tiers;

    public static async Task<DemoSession> OpenAsync(
        EmbeddedNode node, int seed, int requests, int blockBytes, TimeProvider time, CancellationToken cancellationToken)
    {
        var session = new DemoSession(node);
        var keys = new WorkloadKeys("kvmesh-demo", (ulong)seed, blockBytes);
        try
        {
            for (var i = 0; i < Doors.Length; i++)
            {
                var (key, title, via, clients) = Doors[i];
                var prompts = ConversationGenerator.Generate(new ConversationOptions
                {
                    Seed = (seed * Doors.Length) + i + 1,
                    SystemSeed = seed,
                    Requests = requests / Doors.Length,
                    ActiveSessions = 24,
                });
                var fleet = await WorkloadFleet.OpenAsync(DoorTarget.Of(node, via), keys, clients, time, cancellationToken);
                session._lanes.Add(new DemoLane(key, title, fleet, new WorkloadRunner(prompts, fleet.Clients, time, speed: 0)));
            }

            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    /// <exception cref="WorkloadAbortedException">The node stopped answering.</exception>
    public Task RunAsync(CancellationToken cancellationToken) => Task.WhenAll(_lanes.Select(lane => lane.Runner.RunAsync(cancellationToken)));

    public async ValueTask DisposeAsync()
    {
        foreach (var lane in _lanes)
        {
            await lane.Fleet.DisposeAsync();
        }
    }
}
