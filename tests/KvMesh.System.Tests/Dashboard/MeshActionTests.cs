using System.Globalization;
using System.Text.RegularExpressions;
using KvMesh.Client.Admin;
using KvMesh.LoadTest.Faults.Networks;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Sequences;
using KvMesh.TestKit;
using Microsoft.Playwright;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>What operators do from the page of the cluster, in a browser, with real nodes that carry it out.</summary>
[Trait("Category", "System")]
public sealed partial class MeshActionTests(DashboardBrowser browser) : IClassFixture<DashboardBrowser>
{
    private const int BlockCount = 12;

    /// <summary>The order stays open because its source falls silent: it sends nothing more to whoever asks it, and goes on planning.</summary>
    [Fact]
    public async Task An_open_order_is_cancelled_from_the_page_and_its_node_drops_it()
    {
        await using var redis = await RedisServer.StartAsync();
        using NodeFolders first = new(), second = new();
        var port = FreePort.Next();
        await using var front = new CuttableProxy(port);
        await using var a = await StartAsync(first, redis, "a", ("Mesh__AdvertiseAddress", front.Address), ("Native__Port", $"{port}"));
        using var admin = MeshOfThree.Admin(a);
        await Eventually.Holds(async () => await OrdersAsync(admin) is { Scheduler: "a" }, "a plans");
        await using var b = await StartAsync(second, redis, "b");
        await Eventually.Holds(async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Count == 2, "two nodes in the view of a");
        await PutAndPinAsync(a, b, front);

        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        await page.GotoAsync(new Uri(a.Addresses.Http, KvMesh.Dashboard.DashboardExtensions.BasePath + "/cluster").AbsoluteUri);
        var link = page.Locator("#panel-orders [data-order]").GetByText("Cancel", new LocatorGetByTextOptions { Exact = true }).First;
        await link.ClickAsync();
        var question = await page.Locator("dialog h1").InnerTextAsync();
        await page.Locator("dialog .back").ClickAsync();
        await page.Locator("dialog").WaitForAsync(new LocatorWaitForOptions { State = WaitForSelectorState.Detached });
        Assert.Matches(@"^Cancel order \d+\?$", question);
        Assert.Equal(0, await CancelledAsync(b));

        await link.ClickAsync();
        var id = long.Parse(Digits().Match(await page.Locator("dialog h1").InnerTextAsync()).Value, CultureInfo.InvariantCulture);
        await page.Locator("dialog button").ClickAsync();
        await page.Locator("#done").WaitForAsync();
        Assert.Equal($"Order {id} was cancelled.", await page.Locator("#done").InnerTextAsync());
        await Eventually.Holds(
            async () => (await OrdersAsync(admin))?.Orders.Any(order => order.Id == id && order.State == "cancelled") == true, "the order cancelled in the book of the scheduler");
        await Eventually.Holds(async () => await CancelledAsync(b) > 0, "the order dropped by the node that carried it out");
        await Eventually.Holds(
            async () => (await AuditAsync(admin)).Any(entry => entry.Action == "cancel" && entry.Subject.Contains(id.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)),
            "the line of the audit about it");
    }

    [Fact]
    public async Task A_node_is_drained_from_the_page_and_taken_back()
    {
        await using var redis = await RedisServer.StartAsync();
        using NodeFolders first = new(), second = new();
        await using var a = await StartAsync(first, redis, "a");
        await using var b = await StartAsync(second, redis, "b");
        using var admin = MeshOfThree.Admin(a);
        await Eventually.Holds(async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Count == 2 && await OrdersAsync(admin) is { Scheduler.Length: > 0 }, "two nodes, of which one plans");
        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        await page.GotoAsync(new Uri(a.Addresses.Http, KvMesh.Dashboard.DashboardExtensions.BasePath + "/cluster").AbsoluteUri);

        var drain = page.Locator("#node-b").GetByText("Drain", new LocatorGetByTextOptions { Exact = true });
        await drain.ClickAsync();
        Assert.Equal("Drain b?", await page.Locator("dialog h1").InnerTextAsync());
        await page.Locator("dialog .back").ClickAsync();
        await page.Locator("dialog").WaitForAsync(new LocatorWaitForOptions { State = WaitForSelectorState.Detached });
        Assert.Equal("active", await StateAsync(admin));

        await drain.ClickAsync();
        Assert.Equal("b is being drained.", await visitor.ConfirmAsync());
        await Eventually.Holds(async () => await StateAsync(admin) == "drained", "the node drained, which has nothing to hand over");
        await page.Locator("#node-b").GetByText("Take back", new LocatorGetByTextOptions { Exact = true }).ClickAsync();
        Assert.Equal("b is an ordinary member again.", await visitor.ConfirmAsync());
        await Eventually.Holds(async () => await StateAsync(admin) == "active", "the node active again");
        var audit = Array.Empty<AuditEntry>();
        await Eventually.Holds(
            async () => (audit = [.. await AuditAsync(admin)]).Any(entry => entry is { Action: "drain", Subject: "b" }) && audit.Any(entry => entry is { Action: "undrain", Subject: "b" }),
            () => $"the lines of the audit about both; there are: {string.Join(", ", audit.Select(entry => $"{entry.Action} {entry.Subject}"))}");
    }

    [GeneratedRegex(@"\d+")]
    private static partial Regex Digits();

    /// <summary>A chain on a that is to be on b too, when b knows of it and cannot get it.</summary>
    private static async Task PutAndPinAsync(NodeProcess a, NodeProcess b, CuttableProxy front)
    {
        var blocks = new Blocks(chain: 1, BlockCount);
        await using var client = await Blocks.ConnectAsync($"tcp://127.0.0.1:{a.Addresses.Native.Split(':')[^1]}");
        Assert.Equal(BlockCount, await blocks.PutAsync(client));
        await Eventually.Holds(async () => await MeshOfThree.KnownAsync(b) >= BlockCount, "every block of a in the map of b");
        front.Cut(there: true);
        front.Cut(there: false);
        var opened = await client.Sequences.AnswerAsync("chat", new OpenSequence { RequestId = 1, Scope = Blocks.Scope.Bytes, Holder = "worker" });
        var segment = new AppendSegment
        {
            RequestId = 2,
            Epoch = opened.Sequence!.Epoch,
            Blocks = BlockCount,
            Tokens = BlockCount * 16,
            Bytes = (ulong)BlockCount * Blocks.PayloadBytes,
            FirstHash = new BlockHash(blocks.Hashes[0].Span),
            LastHash = new BlockHash(blocks.Hashes[^1].Span),
        };
        Assert.True((await client.Sequences.AnswerAsync("chat", segment)).IsOk);
        var pin = new PinSequence { RequestId = 3, Epoch = segment.Epoch, Replicas = 2, Until = DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds() };
        Assert.True((await client.Sequences.AnswerAsync("chat", pin)).IsOk);
    }

    private static async Task<long> CancelledAsync(NodeProcess node)
    {
        using var http = new HttpClient { Timeout = Eventually.Patience };
        var text = await http.GetStringAsync(new Uri(node.Addresses.Http, "metrics"));
        return text.Split('\n')
            .Where(line => line.StartsWith("kvmesh_placement_executed_total{", StringComparison.Ordinal) && line.Contains("cancelled", StringComparison.Ordinal))
            .Sum(line => long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    /// <summary>Null: nobody plans yet, or is not reached.</summary>
    private static async Task<OrderList?> OrdersAsync(AdminClient admin)
    {
        try
        {
            return await admin.GetOrdersAsync(100, CancellationToken.None);
        }
        catch (AdminRefusedException)
        {
            return null;
        }
    }

    private static async Task<IReadOnlyList<AuditEntry>> AuditAsync(AdminClient admin)
    {
        try
        {
            return await admin.GetAuditAsync(100, CancellationToken.None);
        }
        catch (AdminRefusedException)
        {
            return [];
        }
    }

    private static async Task<string> StateAsync(AdminClient admin)
    {
        var state = "";
        await Eventually.Holds(
            async () =>
            {
                try
                {
                    state = (await admin.GetDrainAsync("b", CancellationToken.None))?.State ?? "";
                    return state.Length > 0;
                }
                catch (AdminRefusedException)
                {
                    return false;
                }
            },
            "an answer about the drain");
        return state;
    }

    private static Task<NodeProcess> StartAsync(NodeFolders folders, RedisServer redis, string id, params (string Name, string Value)[] options)
    {
        (string Name, string Value)[] all =
        [
            ("Mesh__Redis", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{redis.Port}")),
            ("Mesh__NodeId", id),
            ("Mesh__FailureTime", "10s"),

            // An order whose source is silent stays open for as long as its blocks may take.
            ("Engine__FarTiers__ShortestDeadline", "2m"),
            ("Engine__FarTiers__LongestDeadline", "10m"),
            ("Placement__OrderPatience", "10m"),
            ("Placement__Step", "300ms"),
            ("Placement__CallTimeout", "5s"),
            ("Placement__DrainTimeout", "0s"),
            .. options,
        ];
        foreach (var (name, value) in all)
        {
            folders.Environment[$"KVMESH_{name}"] = value;
        }

        return options.Any(option => option.Name == "Native__Port")
            ? NodeProcess.StartAsync(folders, "--arena", "32MiB", "--native", $"127.0.0.1:{options.First(option => option.Name == "Native__Port").Value}")
            : NodeProcess.StartAsync(folders, "--arena", "32MiB");
    }
}
