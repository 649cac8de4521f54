using KvMesh.Cli.Hosting;
using KvMesh.Cli.Workload;
using KvMesh.Engine.Retention;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Cli.Tests.Workload;

/// <summary>
/// A node that keeps N blocks hits what the plain LRU model of N blocks hits. Through RESP the node has to guess the chains from
/// commands: from those of eight connections at once, which arrive in any order, it guesses worse. In an order of pure chance, which no machine
/// comes near however busy it is, it is off by 0.014.
/// </summary>
public sealed class NodeAgreesWithModelTests
{
    private const int BlockBytes = 4096;
    private const int Capacity = 2000;

    [Theory]
    [InlineData("native", true, 0.003)]
    [InlineData("shm", true, 0.003)]
    [InlineData("resp", false, 0.003)]
    [InlineData("resp", true, 0.05)]
    public async Task Hit_ratios_agree_on_a_synthetic_trace(string via, bool inBatches, double tolerance)
    {
        var requests = ConversationGenerator.Generate(new ConversationOptions
        {
            Requests = 2000,
            ActiveSessions = 120,
            SystemPrompts = 60,
        });
        var model = new LruModel(Capacity);
        requests.ForEach(model.Serve);
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(5));

        // The trace passes in seconds, and a promise would keep what the model has long let go.
        var options = new EmbeddedNodeOptions
        {
            ArenaBytes = EmbeddedNodeOptions.ArenaBytesFor(Capacity, BlockBytes),
            MaxResidentBlocks = Capacity,
            Retention = RetentionKind.Lru,
            MaxLease = TimeSpan.FromMilliseconds(1),
        };
        await using var node = await EmbeddedNode.StartAsync(options, limit.Token);
        var keys = new WorkloadKeys("model", 1, BlockBytes);
        var target = DoorTarget.Of(node, Enum.Parse<Via>(via, ignoreCase: true));
        IDoorSource door = inBatches ? target : new OneByOne(target);
        await using var fleet = await Eventually.Succeeds<WorkloadFleet, CommandException>(
            () => WorkloadFleet.OpenAsync(door, keys, 1, TimeProvider.System, limit.Token), "a node that greets");
        var runner = new WorkloadRunner(requests, fleet.Clients, TimeProvider.System, speed: 0);

        await runner.RunAsync(limit.Token);

        var totals = runner.Totals;
        Assert.Equal((0, 0), (totals.MismatchedBytes, totals.Errors));
        Assert.InRange(model.HitRatio, 0.2, 0.9);
        Assert.InRange(totals.HitRatio, model.HitRatio - tolerance, model.HitRatio + tolerance);
    }
}
