using System.Net.Http.Json;
using System.Text.Json;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>A node that operators want empty stays so when its process is killed and started again: the API of every node, the command and the page agree.</summary>
[Trait("Category", "System")]
public sealed class DrainRestartTests
{
    private const int Count = 12;

    [Fact]
    public async Task A_drained_node_that_is_killed_comes_back_drained_until_that_is_taken_back()
    {
        using NodeFolders first = new(), second = new();
        await using var redis = await RedisServer.StartAsync();
        await using var b = await StartAsync(second, redis, "b");
        using var http = new HttpClient { Timeout = Eventually.Patience };
        var blocks = new Blocks(chain: 11, Count);
        DateTimeOffset? since = null;
        await using (var a = await StartAsync(first, redis, "a"))
        {
            await Eventually.Holds(async () => await InViewAsync(http, b) == "active", "the node in the view of the other");
            await using (var client = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint))
            {
                Assert.Equal(Count, await blocks.PutAsync(client));
            }

            await Eventually.Holds(async () => (await http.PostAsync(Drain(b), null)).IsSuccessStatusCode, "the drain begun");
            await AgreeAsync(http, "draining", "drained", a, b);
            await Eventually.Holds(async () => (since = (await DrainAsync(http, b))?.Since) is not null, "since when it is drained");
            await a.Process.KillAsync();
        }

        await using (var a = await StartAsync(first, redis, "a"))
        {
            await AgreeAsync(http, "draining", "drained", a, b);
            await Eventually.Holds(async () => (await DrainAsync(http, b))?.Since == since, "the drain since it was asked for");
            await Eventually.Holds(async () => await CommandAsync(b) == "drained", "the word of the command");
            await Eventually.Holds(
                async () => (await http.GetStringAsync(new Uri(b.Addresses.Http, "dashboard/cluster"))).Contains("Drained", StringComparison.Ordinal), "the word of the page");

            await Eventually.Holds(async () => (await http.DeleteAsync(Drain(a))).IsSuccessStatusCode, "the drain taken back");
            await AgreeAsync(http, "active", "active", a, b);
            await a.Process.KillAsync();
        }

        await using var again = await StartAsync(first, redis, "a");
        await AgreeAsync(http, "active", "active", again, b);
        await Eventually.Holds(async () => await CommandAsync(b) == "active", "the word of the command");
        await using var reader = await Blocks.ConnectAsync(again.Addresses.NativeEndpoint);
        Assert.Equal(Count, await blocks.GetAsync(reader));
    }

    /// <summary>What the view of each node says of the node, and how far it is by the word of each.</summary>
    private static async Task AgreeAsync(HttpClient http, string inView, string drain, params NodeProcess[] nodes)
    {
        foreach (var node in nodes)
        {
            await Eventually.Holds(async () => await InViewAsync(http, node) == inView, $"the node {inView} in the view of {node.Addresses.Http}");
            await Eventually.Holds(async () => (await DrainAsync(http, node))?.State == drain, $"the node {drain} by the word of {node.Addresses.Http}");
        }
    }

    private static Uri Drain(NodeProcess node) => new(node.Addresses.Http, "api/v1/nodes/a/drain");

    private static async Task<string?> InViewAsync(HttpClient http, NodeProcess node) =>
        (await http.GetFromJsonAsync<ClusterStatus>(new Uri(node.Addresses.Http, "api/v1/nodes"), AdminJson.Default.Options))!.Nodes
            .FirstOrDefault(member => member.Id == "a")?.State;

    /// <summary>Null: nobody who plans is reached, as on a busy machine.</summary>
    private static async Task<DrainStatus?> DrainAsync(HttpClient http, NodeProcess node)
    {
        using var response = await http.GetAsync(Drain(node));
        return response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<DrainStatus>(AdminJson.Default.Options) : null;
    }

    /// <summary>Null: the command had no answer in time.</summary>
    private static async Task<string?> CommandAsync(NodeProcess node)
    {
        var (exitCode, output, _) = await NodeProcess.RunToEndAsync(Eventually.Patience, "drain", "a", "--status", "--json", "--node", $"{node.Addresses.Http}");
        return exitCode == 0 ? JsonDocument.Parse(output).RootElement.GetProperty("state").GetString() : null;
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RedisServer redis, string id)
    {
        folders.JoinMesh(redis.Port, id);
        folders.Environment["KVMESH_Placement__Step"] = "200ms";
        folders.Environment["KVMESH_Placement__DrainTimeout"] = "0s";
        return NodeProcess.StartAsync(folders, "--arena", "64MiB");
    }
}
