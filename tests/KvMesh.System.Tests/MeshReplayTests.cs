using System.Text.Json;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>A recorded workload that enters a mesh of real nodes at several of them: every byte is checked, and nodes may be missing.</summary>
[Trait("Category", "System")]
public sealed class MeshReplayTests(MeshOfThree mesh) : IClassFixture<MeshOfThree>, IDisposable
{
    private readonly SessionTrace _trace = new(sessions: 10, rounds: 3, stepMs: 0);

    public void Dispose() => _trace.Dispose();

    [Theory]
    [InlineData("native", 1)]
    [InlineData("resp", 2)]
    public async Task Requests_dealt_to_two_nodes_find_what_the_third_one_has(string via, int seed)
    {
        var written = await MeshReplay.RunAsync(_trace, via, seed, MeshReplay.Endpoints(via, mesh.Nodes[0]));
        Assert.Equal((0, 60), (written.ExitCode, written.Report.GetProperty("storedBlocks").GetInt32()));
        await KnowAllAsync();

        var run = await MeshReplay.RunAsync(_trace, via, seed, MeshReplay.Endpoints(via, mesh.Nodes[1], mesh.Nodes[2]));

        // Every full block: 2 + 4 + 6 of the 3 + 5 + 7 that a session asks for.
        Assert.True(run.ExitCode == 0, $"exit code {run.ExitCode}: {run.Error}");
        Assert.Equal((150, 120), (run.Report.GetProperty("blocks").GetInt32(), run.Report.GetProperty("hitBlocks").GetInt32()));
        Assert.Equal((0, 0), (run.Report.GetProperty("mismatchedBytes").GetInt64(), run.Report.GetProperty("errors").GetInt64()));
        var rows = run.Report.GetProperty("endpoints").EnumerateArray().ToList();
        Assert.Equal(
            [MeshReplay.Endpoints(via, mesh.Nodes[1]), MeshReplay.Endpoints(via, mesh.Nodes[2])], rows.Select(row => row.GetProperty("endpoint").GetString()));
        Assert.All(rows, row => Assert.Equal((15, 60), (row.GetProperty("requests").GetInt32(), row.GetProperty("hitBlocks").GetInt32())));
    }

    [Fact]
    public async Task With_affinity_a_session_stays_at_its_node_and_finds_all_it_wrote()
    {
        var run = await MeshReplay.RunAsync(
            _trace, "native", seed: 3, MeshReplay.Endpoints("native", mesh.Nodes), "--routing", "affinity", "--affinity-blocks", "1");

        // Each turn finds what the turn before wrote: 2 + 4 of 3 + 5 + 7 blocks.
        Assert.True(run.ExitCode == 0, $"exit code {run.ExitCode}: {run.Error}");
        Assert.Equal((150, 60), (run.Report.GetProperty("blocks").GetInt32(), run.Report.GetProperty("hitBlocks").GetInt32()));
    }

    [Fact]
    public async Task A_node_that_is_not_there_costs_no_error()
    {
        using var closed = new ClosedPort();

        var run = await MeshReplay.RunAsync(_trace, "native", seed: 4, $"tcp://{closed.Endpoint},{MeshReplay.Endpoints("native", mesh.Nodes)}");

        Assert.True(run.ExitCode == 0, $"exit code {run.ExitCode}: {run.Error}");
        Assert.Contains($"no node answers at tcp://{closed.Endpoint}", run.Error, StringComparison.Ordinal);
        Assert.Equal((30, 0), (run.Report.GetProperty("requests").GetInt32(), run.Report.GetProperty("errors").GetInt32()));
        var row = run.Report.GetProperty("endpoints")[0];
        Assert.Equal((0, true), (row.GetProperty("requests").GetInt32(), row.GetProperty("isDown").GetBoolean()));
        Assert.True(row.GetProperty("diverted").GetInt32() > 0, $"{row}");
    }

    /// <summary>Waits until the maps of all nodes have the blocks of all: those of the test before may still be on their way.</summary>
    private async Task KnowAllAsync()
    {
        long held = 0;
        long[] known = [];
        await Eventually.Holds(
            async () =>
            {
                held = (await Task.WhenAll(mesh.Nodes.Select(HeldAsync))).Sum();
                known = await Task.WhenAll(mesh.Nodes.Select(MeshOfThree.KnownAsync));
                return known.All(each => each == held);
            },
            () => $"the {held} blocks of all nodes in the map of each; they have {string.Join(", ", known)}");

        static async Task<long> HeldAsync(NodeProcess node)
        {
            using var admin = MeshOfThree.Admin(node);
            return (await admin.GetTiersAsync(CancellationToken.None)).Single(tier => tier.Name == "host").Blocks;
        }
    }
}

/// <summary>As above, on a mesh that loses a node.</summary>
[Trait("Category", "System")]
public sealed class MeshReplayFaultTests : IAsyncLifetime
{
    private readonly MeshOfThree _mesh = new();

    public Task InitializeAsync() => _mesh.InitializeAsync();

    public Task DisposeAsync() => _mesh.DisposeAsync();

    [Fact]
    public async Task A_node_killed_in_the_middle_costs_misses_and_no_error()
    {
        using var trace = new SessionTrace(sessions: 20, rounds: 10, stepMs: 20);
        await using var native = Start("native");
        await using var resp = Start("resp");
        using var admin = MeshOfThree.Admin(_mesh.Nodes[1]);
        await Eventually.Holds(async () => (await admin.GetTiersAsync(CancellationToken.None))[0].Blocks > 5, "blocks on the node that is to be killed");

        await _mesh.Nodes[1].Process.KillAsync();

        foreach (var replay in new[] { native, resp })
        {
            var exitCode = await replay.WaitForExitAsync(MeshReplay.Limit);
            Assert.True(exitCode == 0, $"exit code {exitCode}: {replay.Describe()}");
            var report = JsonDocument.Parse(replay.Output[^1]).RootElement;
            Assert.Equal(
                (200, 0, 0), (report.GetProperty("requests").GetInt32(), report.GetProperty("errors").GetInt32(), report.GetProperty("mismatchedBytes").GetInt32()));
        }

        ChildProcess Start(string via) => NodeProcess.Run(MeshReplay.Arguments(trace, via, 1, MeshReplay.Endpoints(via, _mesh.Nodes), "--speed", "1"));
    }
}
