using System.Text.Json;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.System.Tests;

/// <summary><c>kvmesh up</c>: real nodes and a real redis-server, one of them killed.</summary>
[Trait("Category", "System")]
public sealed class MeshTests : IDisposable
{
    private readonly NodeFolders _folders = new();

    /// <summary>A busy machine may keep a living node from its heartbeat for longer than the shipped time.</summary>
    public MeshTests() => _folders.Environment["KVMESH_Mesh__FailureTime"] = "10s";

    [Fact]
    public async Task A_killed_node_is_reported_and_comes_back_where_it_was_under_a_higher_incarnation()
    {
        await using var up = NodeProcess.Run(
            ["up", "--nodes", "3", "--json", "--port", "0", "--arena", "48MiB", "--data-dir", _folders.Data], _folders.Environment);
        var mesh = await ReadAsync(up);
        using var first = PatientAdmin.Of(new Uri(mesh.Nodes[0].Http));
        await Eventually.Holds(async () => Names(await first.GetNodesAsync(CancellationToken.None)) == "n1,n2,n3", "three nodes in the view of the first");
        ClusterStatus before = null!;
        await Eventually.Holds(
            async () =>
            {
                var (exitCode, output, _) = await NodeProcess.RunToEndAsync(Eventually.Patience, "nodes", "--json", "--node", mesh.Nodes[0].Http);
                if (exitCode == 3)
                {
                    // A busy node did not answer in time.
                    return false;
                }

                Assert.Equal(0, exitCode);
                before = JsonSerializer.Deserialize(output, AdminJson.Default.ClusterStatus)!;
                return Names(before) == "n1,n2,n3";
            },
            "three nodes printed by the command");

        var (victim, incarnation) = (mesh.Nodes[1], before.Nodes.Max(node => node.Incarnation));
        await ChildProcess.SignalAsync(victim.ProcessId, "KILL");

        await Eventually.Holds(() => up.Error.Contains("n2 ended with code 137: killed by signal 9; it is started again", StringComparison.Ordinal), "the report of the death");
        await Eventually.Holds(
            async () => (await first.GetNodesAsync(CancellationToken.None)).Nodes.Any(node => node.Id == "n2" && node.Incarnation > incarnation),
            "the node back under a higher incarnation");
        await Eventually.Holds(() => up.Error.Contains("n2 runs again", StringComparison.Ordinal), "the report of its return");
        using var returned = PatientAdmin.Of(new Uri(victim.Http));
        Assert.Equal("n2", (await returned.GetNodesAsync(CancellationToken.None)).Self);

        // One that was stopped on purpose stays away.
        await ChildProcess.SignalAsync(mesh.Nodes[2].ProcessId, "TERM");
        await Eventually.Holds(() => up.Error.Contains("n3 ended with code 0; it was stopped", StringComparison.Ordinal), "the report of the stop");
        await Eventually.Holds(async () => Names(await first.GetNodesAsync(CancellationToken.None)) == "n1,n2", "the stopped node gone");

        await up.SignalAsync("TERM");
        Assert.Equal(0, await up.WaitForExitAsync(Eventually.Patience));
        Assert.All(mesh.Nodes, node => Assert.False(Directory.Exists($"/proc/{node.ProcessId}"), $"{node.Id} is still there."));
    }

    [Fact]
    public async Task A_redis_that_dies_is_started_again_and_the_nodes_meet_there()
    {
        await using var up = NodeProcess.Run(
            ["up", "--nodes", "2", "--json", "--port", "0", "--arena", "32MiB", "--data-dir", _folders.Data], _folders.Environment);
        var mesh = await ReadAsync(up);
        var port = mesh.Redis.Split(':')[1];

        await ChildProcess.SignalAsync(await ProcessOfAsync(int.Parse(port, null)), "KILL");

        await Eventually.Holds(() => up.Error.Contains("redis ended with code 137", StringComparison.Ordinal), "the report of the death");
        await Eventually.Holds(() => up.Error.Contains("redis runs again", StringComparison.Ordinal), "the report of its return");
        using var first = PatientAdmin.Of(new Uri(mesh.Nodes[0].Http));
        await Eventually.Holds(
            async () => await first.GetNodesAsync(CancellationToken.None) is { Standing: "member", StoreSilentSeconds: null } status && Names(status) == "n1,n2",
            "both nodes as members in the new server");
        await up.SignalAsync("INT");
        Assert.Equal(0, await up.WaitForExitAsync(Eventually.Patience));
        await Eventually.Holds(() => !IsOpen(int.Parse(port, null)), "the end of redis-server");
    }

    [Fact]
    public async Task Nodes_and_redis_end_with_the_command_however_it_ends()
    {
        await using var up = NodeProcess.Run(
            ["up", "--nodes", "2", "--json", "--port", "0", "--arena", "32MiB", "--data-dir", _folders.Data], _folders.Environment);
        var mesh = await ReadAsync(up);

        await up.KillAsync();

        await Eventually.Holds(() => mesh.Nodes.All(node => !Directory.Exists($"/proc/{node.ProcessId}")), "the end of both nodes");
        var port = int.Parse(mesh.Redis.Split(':')[1], null);
        await Eventually.Holds(() => !IsOpen(port), "the end of redis-server");
    }

    [Fact]
    public async Task A_node_that_is_replaced_stays_a_member()
    {
        await using var redis = await RestartableRedis.StartAsync();
        using var witnessFolders = new NodeFolders();
        string[] mesh = ["--arena", "16MiB", "--redis", redis.Address];
        witnessFolders.Environment["KVMESH_Mesh__NodeId"] = "witness";

        // However slow the machine, the pause of a take-over is no death.
        witnessFolders.Environment["KVMESH_Mesh__FailureTime"] = "90s";
        _folders.Environment["KVMESH_Mesh__NodeId"] = "subject";
        await using var witness = await NodeProcess.StartAsync(witnessFolders, mesh);
        await using var before = await NodeProcess.StartAsync(_folders, mesh);
        using var admin = PatientAdmin.Of(witness.Addresses);
        long incarnation = 0;
        await Eventually.Holds(async () => (incarnation = await SubjectAsync(admin)) > 0, "the node in the view of the other");

        await using var after = await NodeProcess.StartAsync(_folders, [.. mesh, "--take-over"]);

        var later = incarnation;
        await Eventually.Holds(
            async () =>
            {
                later = await SubjectAsync(admin);
                Assert.True(later > 0, "The node was away.");
                return later > incarnation;
            },
            "the successor in the view of the other");
        Assert.Equal(0, await before.Process.WaitForExitAsync(Eventually.Patience));
    }

    [Fact]
    public async Task It_stops_by_itself_when_told_to()
    {
        await using var up = NodeProcess.Run(
            ["up", "--nodes", "1", "--json", "--port", "0", "--arena", "16MiB", "--exit-after", "1", "--data-dir", _folders.Data], _folders.Environment);

        Assert.Equal(0, await up.WaitForExitAsync(Eventually.Patience));
        Assert.Contains(up.Output, line => line.StartsWith('{'));
    }

    public void Dispose() => _folders.Dispose();

    private static async Task<long> SubjectAsync(AdminClient admin) =>
        (await admin.GetNodesAsync(CancellationToken.None)).Nodes.FirstOrDefault(node => node.Id == "subject")?.Incarnation ?? 0;

    private static string Names(ClusterStatus status) => string.Join(',', status.Nodes.Select(node => node.Id));

    /// <summary>Process of the redis-server at a port, as it says itself.</summary>
    private static async Task<int> ProcessOfAsync(int port)
    {
        const string Field = "process_id:";
        using var client = new global::System.Net.Sockets.TcpClient("127.0.0.1", port);
        using var reader = new StreamReader(client.GetStream());
        await client.GetStream().WriteAsync("INFO server\r\n"u8.ToArray());
        while (await reader.ReadLineAsync().Within("an answer of redis-server") is { } line)
        {
            if (line.StartsWith(Field, StringComparison.Ordinal))
            {
                return int.Parse(line.AsSpan(Field.Length), null);
            }
        }

        throw new InvalidOperationException("redis-server did not tell its process.");
    }

    private static bool IsOpen(int port)
    {
        try
        {
            using var client = new global::System.Net.Sockets.TcpClient("127.0.0.1", port);
            return true;
        }
        catch (global::System.Net.Sockets.SocketException)
        {
            return false;
        }
    }

    private static async Task<UpLine> ReadAsync(ChildProcess up) => JsonSerializer.Deserialize<UpLine>(
        await up.WaitForLineAsync(line => line.StartsWith('{'), "the line with the addresses", Eventually.Patience), JsonSerializerOptions.Web)!;

    private sealed record UpLine(string Redis, List<UpNode> Nodes);

    private sealed record UpNode(string Id, int ProcessId, string Http, string DataDirectory);
}
