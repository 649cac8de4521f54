using System.Net.Http.Json;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Admin;
using KvMesh.Server.Mesh;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Server.Tests;

public sealed class DrainFileTests : IDisposable
{
    private static readonly DateTimeOffset Since = DateTimeOffset.FromUnixTimeMilliseconds(1_800_000_000_123);

    private readonly TemporaryDirectory _directory = new();

    private string Path => System.IO.Path.Combine(_directory.Path, "drain.json");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Is_there_while_the_drain_is_wanted_and_gone_afterwards()
    {
        Assert.Null(Open().Load());
        Assert.True(Open().Save(Since));
        Assert.Equal(Since, Open().Load());

        Assert.True(Open().Save(null));
        Assert.Null(Open().Load());
        Assert.False(File.Exists(Path));
        Assert.True(Open().Save(null));
    }

    [Fact]
    public void One_of_another_node_or_another_cluster_says_nothing()
    {
        Open().Save(Since);

        Assert.Null(Open(cluster: "other").Load());
        Assert.Null(Open(node: "b").Load());
    }

    [Fact]
    public void One_that_was_damaged_still_says_that_the_node_is_to_be_empty()
    {
        Open().Save(Since);
        var whole = File.ReadAllBytes(Path);
        for (var length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(Path, whole[..length]);
            Assert.NotNull(Open().Load());
        }
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_no_exception()
    {
        Assert.False(new DrainFile(System.IO.Path.Combine(_directory.Path, "missing"), "test", NodeId.Parse("a"), NullLogger.Instance).Save(Since));
    }

    [Fact]
    public async Task A_node_of_its_own_is_still_drained_after_a_restart_and_no_more_when_that_was_taken_back()
    {
        DateTimeOffset? since;
        await using (var first = await StartAsync())
        {
            using var http = ClientOf(first);
            since = (await BeginAsync(http)).Since;
            await IsDrainedAsync(http, since);
        }

        await using (var second = await StartAsync())
        {
            using var http = ClientOf(second);
            await IsDrainedAsync(http, since);
            await Eventually.Holds(async () => (await http.DeleteAsync(Drain)).IsSuccessStatusCode, "the drain taken back");
        }

        await using var third = await StartAsync();
        using var last = ClientOf(third);
        await Eventually.Holds(async () => await StateAsync(last) == "active", "an active node in its own view");
        await Eventually.Holds(async () => await DrainAsync(last) is { State: "active" }, "no drain of it");
    }

    private static string Drain => $"{AdminRoutes.Nodes}/solo/drain";

    /// <summary>A node that has just started may not plan yet, and says so.</summary>
    private static async Task<DrainStatus> BeginAsync(HttpClient http)
    {
        DrainStatus? begun = null;
        var refusal = "";
        await Eventually.Holds(
            async () =>
            {
                using var response = await http.PostAsync(Drain, null);
                begun = response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<DrainStatus>(AdminJson.Default.Options) : null;
                refusal = response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync();
                return begun is not null;
            },
            () => $"the drain begun; it was refused with {refusal}");
        return begun!;
    }

    private static async Task IsDrainedAsync(HttpClient http, DateTimeOffset? since)
    {
        await Eventually.Holds(async () => await StateAsync(http) == "draining", "a draining node in its own view");
        await Eventually.Holds(async () => await DrainAsync(http) is { State: "drained" } status && status.Since == since, "the node drained");
    }

    private static async Task<string?> StateAsync(HttpClient http) =>
        (await http.GetFromJsonAsync<ClusterStatus>(AdminRoutes.Nodes, AdminJson.Default.Options))!.Nodes.SingleOrDefault()?.State;

    /// <summary>Null: the node does not plan yet.</summary>
    private static async Task<DrainStatus?> DrainAsync(HttpClient http)
    {
        using var response = await http.GetAsync(Drain);
        return response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<DrainStatus>(AdminJson.Default.Options) : null;
    }

    private static HttpClient ClientOf(KvMeshNode node) => new() { BaseAddress = node.Endpoints.Http, Timeout = Eventually.Patience };

    private DrainFile Open(string cluster = "test", string node = "a") => new(_directory.Path, cluster, NodeId.Parse(node), NullLogger.Instance);

    private Task<KvMeshNode> StartAsync()
    {
        var options = TestNode.Options(_directory.Path);
        options.Mesh.NodeId = "solo";
        var quiet = new NodeSurroundings { NotifySocket = null, Logging = logging => logging.SetMinimumLevel(LogLevel.None) };
        return KvMeshNode.StartAsync(NodeOptionsReader.Check(options), quiet, CancellationToken.None);
    }
}
