using System.Text.Json;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary><c>kvmesh orders</c> and <c>kvmesh drain</c> as processes, asked of different nodes of a real mesh.</summary>
[Trait("Category", "System")]
public sealed class PlacementCommandTests(MeshOfThree mesh) : IClassFixture<MeshOfThree>
{
    private const int Count = 12;

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task A_node_is_drained_seen_in_orders_and_audit_and_taken_back()
    {
        var blocks = new Blocks(chain: 5, Count);
        await using (var client = await Blocks.ConnectAsync(mesh.Nodes[2].Addresses.NativeEndpoint))
        {
            Assert.Equal(Count, await blocks.PutAsync(client));
        }

        await PlansAsync();
        var drained = await JsonAsync(0, "drain", "n3", "--wait", "--timeout", "150");
        Assert.Equal(("n3", "drained", 0), (drained.GetProperty("node").GetString(), drained.GetProperty("state").GetString(), drained.GetProperty("blocksLeft").GetInt32()));

        // The orders that did it, and who asked for it, are told by every node.
        await EventuallyAsync(
            1, list => list.GetProperty("orders").EnumerateArray().Any(order => order.GetProperty("kind").GetString() == "drain"), "the orders of the drain", "orders");
        await EventuallyAsync(
            2,
            audit => audit.GetProperty("entries").EnumerateArray().Any(
                entry => (entry.GetProperty("action").GetString(), entry.GetProperty("subject").GetString()) == ("drain", "n3")),
            "the line of the audit about the drain", "orders", "audit");

        Assert.Equal("active", (await JsonAsync(1, "drain", "n3", "--undo")).GetProperty("state").GetString());
        await EventuallyAsync(0, status => status.GetProperty("state").GetString() == "active", "the drain taken back", "drain", "n3", "--status");
    }

    [Fact]
    public async Task Orders_are_paused_planned_and_resumed_at_any_node()
    {
        await PlansAsync();

        Assert.Equal("pause", (await JsonAsync(0, "orders", "pause")).GetProperty("action").GetString());
        await EventuallyAsync(1, list => list.GetProperty("isPaused").GetBoolean(), "the pause, as the second node tells it", "orders");
        await EventuallyAsync(2, list => list.GetProperty("isPaused").GetBoolean(), "the pause, as the third node tells it", "orders");
        Assert.NotEqual("", (await JsonAsync(1, "orders", "plan")).GetProperty("scheduler").GetString());
        Assert.Equal("resume", (await JsonAsync(2, "orders", "resume")).GetProperty("action").GetString());
        await EventuallyAsync(0, list => !list.GetProperty("isPaused").GetBoolean(), "the end of the pause", "orders");
    }

    [Theory]
    [InlineData("orders cancel 999999", "No order 999999 is open")]
    [InlineData("drain nobody --status", "No member of the cluster has the id 'nobody'")]
    public async Task What_does_not_exist_is_told_alike_by_the_node_that_plans_and_by_the_others(string command, string expected)
    {
        await PlansAsync();
        foreach (var run in await Task.WhenAll(Enumerable.Range(0, 3).Select(node => RunAsync(node, command.Split(' ')))))
        {
            Assert.Equal(4, run.ExitCode);
            Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        }
    }

    /// <summary>A mesh that has just met may be without a node that plans, and says so.</summary>
    private async Task PlansAsync()
    {
        foreach (var node in mesh.Nodes)
        {
            using var admin = MeshOfThree.Admin(node);
            await Eventually.Succeeds<object, Client.Admin.AdminRefusedException>(
                async () => await admin.GetOrdersAsync(1, CancellationToken.None), "a node that plans, known to every node");
        }
    }

    /// <summary>
    /// Exit code 3 says that the node did not answer in time, as it may on a busy machine; so may the node that plans, which is told with the word placement.
    /// Every command here can be repeated.
    /// </summary>
    private async Task<(int ExitCode, string Output, string Error)> RunAsync(int node, params string[] arguments)
    {
        (int ExitCode, string Output, string Error) run = default;
        await Eventually.Holds(
            async () => (run = await NodeProcess.RunToEndAsync(Limit, [.. arguments, "--node", $"{mesh.Nodes[node].Addresses.Http}"])) is { ExitCode: not 3 } && !run.Error.Contains("placement", StringComparison.Ordinal),
            () => $"an answer in time; the last was {run.ExitCode}: {run.Error}");
        return run;
    }

    private Task EventuallyAsync(int node, Func<JsonElement, bool> condition, string what, params string[] arguments) =>
        Eventually.Holds(async () => condition(await JsonAsync(node, arguments)), what);

    private async Task<JsonElement> JsonAsync(int node, params string[] arguments)
    {
        var run = await RunAsync(node, [.. arguments, "--json"]);
        Assert.True(run.ExitCode == 0, $"{string.Join(' ', arguments)} ended with {run.ExitCode}: {run.Error}");
        return JsonDocument.Parse(run.Output).RootElement;
    }
}
