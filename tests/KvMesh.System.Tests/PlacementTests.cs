using System.Globalization;
using System.Net.Http.Json;
using KvMesh.Client;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Three nodes as processes that meet in a real Redis: one of them plans placement, and all of them follow.</summary>
[Trait("Category", "System")]
public sealed class PlacementTests
{
    private const int Count = 12;
    private const string Name = "chat";

    [Fact]
    public async Task A_pin_of_two_copies_is_held_survives_the_loss_of_a_node_and_is_made_whole_again()
    {
        using NodeFolders first = new(), second = new(), third = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        await using var c = await StartAsync(third, redis, "c");
        using var http = new HttpClient { Timeout = Eventually.Patience };
        await SeeEachOtherAsync(http, a, b, c);
        var blocks = new Blocks(chain: 1, Count);
        await using (var client = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint))
        {
            Assert.Equal(Count, await blocks.PutAsync(client));
            var epoch = await OpenAsync(client, blocks);
            var pin = new PinSequence { RequestId = 4, Epoch = epoch, Replicas = 2, Until = DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds() };
            var pinned = await client.Sequences.AnswerAsync(Name, pin);

            // What is asked again, since Redis was late, may be held by the time of its answer.
            Assert.Contains(pinned.Sequence!.Pin.State, new[] { PinState.Pending, PinState.Held });
            await EventuallyAsync(client, info => info.Pin is { State: PinState.Held, Copies: 2 }, "the pin held by two nodes");
        }

        await a.Process.KillAsync();
        await using var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        await using var atC = await Blocks.ConnectAsync(c.Addresses.NativeEndpoint);
        await Eventually.Holds(async () => await blocks.GetAsync(atC) == Count, "every pinned block read after the loss of a node");
        await Eventually.Holds(async () => await MembersAsync(http, b) == "b,c", "the view without the dead node");

        // Each of the two that are left has all of it, verified, and keeps it.
        await EventuallyAsync(atB, info => info.Pin is { State: PinState.Held, Copies: 2 }, "the pin held by the two nodes that are left");
        double keptByB = 0, keptByC = 0;
        await Eventually.Holds(
            async () =>
            {
                keptByB = await ReadAsync(http, b, "kvmesh_placement_held_blocks");
                keptByC = await ReadAsync(http, c, "kvmesh_placement_held_blocks");
                return keptByB >= Count && keptByC >= Count;
            },
            () => $"all {Count} blocks kept on both nodes; b keeps {keptByB}, c {keptByC}. b: {b.Process.Describe()}. c: {c.Process.Describe()}");
        Assert.Equal(Count, await blocks.GetAsync(atB));
    }

    [Fact]
    public async Task A_node_that_is_stopped_hands_its_blocks_over_first()
    {
        using NodeFolders first = new(), second = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a", ("Placement__DrainTimeout", "100s"));
        await using var b = await StartAsync(second, redis, "b");
        using var http = new HttpClient { Timeout = Eventually.Patience };
        await SeeEachOtherAsync(http, a, b);
        var blocks = new Blocks(chain: 2, Count);
        await using (var client = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint))
        {
            Assert.Equal(Count, await blocks.PutAsync(client));
        }

        Assert.Equal(0, await a.StopAsync());

        await using var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint);
        Assert.Equal(Count, await blocks.GetAsync(atB));
    }

    [Fact]
    public async Task Any_node_drains_another_which_goes_on_serving_and_can_be_taken_back()
    {
        using NodeFolders first = new(), second = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        using var http = new HttpClient { Timeout = Eventually.Patience };
        await SeeEachOtherAsync(http, a, b);
        var blocks = new Blocks(chain: 3, Count);
        await using var atA = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint);
        Assert.Equal(Count, await blocks.PutAsync(atA));

        // Asked of both nodes: one of them plans, and the other one passes it on.
        await Eventually.Holds(async () => (await http.PostAsync(DrainOf(b, "a"), null)).IsSuccessStatusCode, "the drain begun");
        await Eventually.Holds(async () => await StateAsync(http, a, "a") == "drained" && await StateAsync(http, b, "a") == "drained", "the node drained");

        Assert.Equal(Count, await blocks.GetAsync(atA));
        await using (var atB = await Blocks.ConnectAsync(b.Addresses.NativeEndpoint))
        {
            Assert.Equal(Count, await blocks.GetAsync(atB));
        }

        // The node knows that it is drained before the book of whoever plans has closed the orders that did it.
        foreach (var node in new[] { a, b })
        {
            await Eventually.Holds(
                async () => await AskAsync<OrderList>(http, node, "api/v1/orders") is { } list && list.Orders.Any(order => order is { Kind: "drain", Target: "b", State: "done" }),
                "the orders of the drain done");
            await Eventually.Holds(
                async () => await AskAsync<IReadOnlyList<AuditEntry>>(http, node, "api/v1/orders/audit") is { } audit && audit.Any(entry => entry is { Action: "drain", Subject: "a" }),
                "the line of the audit about the drain");
        }

        await Eventually.Holds(async () => (await http.DeleteAsync(DrainOf(a, "a"))).IsSuccessStatusCode, "the drain taken back by its node");
        await Eventually.Holds(async () => await StateAsync(http, b, "a") == "active", "the node active again");
    }

    [Fact]
    public async Task A_parked_sequence_is_where_it_will_be_resumed()
    {
        using NodeFolders first = new(), second = new();
        await using var redis = await RedisServer.StartAsync();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        using var http = new HttpClient { Timeout = Eventually.Patience };
        await SeeEachOtherAsync(http, a, b);
        var blocks = new Blocks(chain: 4, Count);
        await using var client = await Blocks.ConnectAsync(a.Addresses.NativeEndpoint);
        Assert.Equal(Count, await blocks.PutAsync(client));
        var epoch = await OpenAsync(client, blocks);

        var park = new ParkSequence { Epoch = epoch, RequestId = 3, NextHolder = "b", ReturnAt = DateTimeOffset.UtcNow.AddSeconds(5).ToUnixTimeMilliseconds() };
        Assert.Equal(SequenceRefusal.None, (await client.Sequences.AnswerAsync(Name, park)).Refusal);

        await Eventually.Holds(
            async () => await ReadAsync(http, b, "kvmesh_placement_blocks_total{kvmesh_outcome=\"came\"}") >= Count, "every block brought to the node that will resume it");
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RedisServer redis, string id, params (string Name, string Value)[] options)
    {
        folders.JoinMesh(redis.Port, id);
        folders.Environment["KVMESH_Placement__Step"] = "200ms";
        folders.Environment["KVMESH_Placement__DrainTimeout"] = "0s";
        foreach (var (name, value) in options)
        {
            folders.Environment[$"KVMESH_{name}"] = value;
        }

        return NodeProcess.StartAsync(folders, "--arena", "64MiB");
    }

    /// <summary>One segment of all blocks: whoever plans has to find out what lies between its ends.</summary>
    private static async Task<long> OpenAsync(KvMeshClient client, Blocks blocks)
    {
        var opened = await client.Sequences.AnswerAsync(Name, new OpenSequence { RequestId = 1, Scope = Blocks.Scope.Bytes, Holder = "test" });
        Assert.Equal(SequenceRefusal.None, opened.Refusal);
        var append = new AppendSegment
        {
            RequestId = 2,
            Epoch = opened.Sequence!.Epoch,
            Blocks = Count,
            Tokens = Count * 16,
            Bytes = Count * Blocks.PayloadBytes,
            FirstHash = new BlockHash(blocks.Hashes[0].Span),
            LastHash = new BlockHash(blocks.Hashes[^1].Span),
        };
        var appended = await client.Sequences.AnswerAsync(Name, append);
        Assert.Equal(SequenceRefusal.None, appended.Refusal);
        return opened.Sequence!.Epoch;
    }

    private static Task EventuallyAsync(KvMeshClient client, Func<SequenceInfo, bool> condition, string what)
    {
        SequenceInfo? last = null;
        return Eventually.Holds(
            async () => (last = (await client.Sequences.FindAsync(Name, CancellationToken.None)).Sequence) is { } info && condition(info),
            () => $"{what}; it is {last?.Pin.State} with {last?.Pin.Copies} copies");
    }

    private static async Task SeeEachOtherAsync(HttpClient http, params NodeProcess[] nodes)
    {
        var all = string.Join(',', Enumerable.Range(0, nodes.Length).Select(index => (char)('a' + index)));
        foreach (var node in nodes)
        {
            await Eventually.Holds(async () => await MembersAsync(http, node) == all, "all nodes in the view of each");
        }
    }

    private static async Task<string> MembersAsync(HttpClient http, NodeProcess node) => string.Join(
        ',', (await http.GetFromJsonAsync<ClusterStatus>(new Uri(node.Addresses.Http, "api/v1/nodes"), AdminJson.Default.Options))!.Nodes.Select(member => member.Id));

    /// <summary>Null: the node does not reach whoever plans, as on a busy machine.</summary>
    private static async Task<T?> AskAsync<T>(HttpClient http, NodeProcess node, string path)
        where T : class
    {
        using var response = await http.GetAsync(new Uri(node.Addresses.Http, path));
        return response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<T>(AdminJson.Default.Options) : null;
    }

    private static Uri DrainOf(NodeProcess node, string id) => new(node.Addresses.Http, $"api/v1/nodes/{id}/drain");

    private static async Task<string> StateAsync(HttpClient http, NodeProcess node, string id)
    {
        using var response = await http.GetAsync(DrainOf(node, id));
        return response.IsSuccessStatusCode ? (await response.Content.ReadFromJsonAsync<DrainStatus>(AdminJson.Default.Options))!.State : "";
    }

    private static async Task<long> ReadAsync(HttpClient http, NodeProcess node, string metric)
    {
        var text = await http.GetStringAsync(new Uri(node.Addresses.Http, "metrics"));
        var line = text.Split('\n').FirstOrDefault(each => each.StartsWith(metric + " ", StringComparison.Ordinal) || each.StartsWith(metric + "{", StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }
}
