using System.Globalization;
using System.Net;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;
using Microsoft.Playwright;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>The pages of the cluster and of sequences in a browser, on three nodes as processes and a real Redis.</summary>
[Trait("Category", "System")]
public sealed class MeshPageTests(DashboardBrowser browser, DashboardMesh mesh) : IClassFixture<DashboardBrowser>, IClassFixture<DashboardMesh>
{
    private const int BlockCount = 6;

    [Fact]
    public async Task The_cluster_page_shows_its_nodes_and_what_moves_and_follows_the_death_of_one()
    {
        await using var victim = await mesh.StartNodeAsync("n4");
        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        await page.GotoAsync(mesh.Page("/cluster").AbsoluteUri);
        await visitor.FigureAsync("#tile-nodes", nodes => nodes == 4, "four nodes");
        foreach (var id in new[] { "n1", "n2", "n3", "n4" })
        {
            await page.Locator($"#node-{id}").GetByText("Active").WaitForAsync();
        }

        await DashboardMesh.MoveAsync(new Blocks(chain: 1, BlockCount), mesh.Nodes[1], victim);
        await DashboardMesh.MoveAsync(new Blocks(chain: 2, BlockCount), victim, mesh.Nodes[0]);
        await visitor.FigureAsync("[data-way='n4>n1'] .flow-note", bytes => bytes >= Blocks.PayloadBytes, "bytes from n4 to n1");
        await visitor.FigureAsync("[data-way='n2>n4'] .flow-note", bytes => bytes >= Blocks.PayloadBytes, "bytes from n2 to n4, as n4 tells");
        await visitor.KeepPictureAsync("cluster");

        await victim.Process.KillAsync();

        await page.Locator("#node-n4").WaitForAsync(new LocatorWaitForOptions { State = WaitForSelectorState.Detached });
        await visitor.FigureAsync("#tile-nodes", nodes => nodes == 3, "three nodes");
        using var admin = mesh.Admin();
        var epoch = (await admin.GetNodesAsync(CancellationToken.None)).Epoch;
        await Eventually.Holds(
            async () => long.Parse((await page.Locator("#epoch").GetAttributeAsync("data-value"))!, CultureInfo.InvariantCulture) >= epoch, "the epoch of the API on the page");
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task An_action_asks_first_and_then_is_done()
    {
        using var admin = mesh.Admin();
        var before = await IncarnationAsync(admin);
        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        await page.GotoAsync(mesh.Page("/cluster").AbsoluteUri);
        var button = page.Locator("#node-n2").GetByText("Declare gone");

        await button.ClickAsync();
        await page.Locator("dialog").WaitForAsync();
        Assert.Equal("Declare n2 gone?", await page.Locator("dialog h1").InnerTextAsync());
        await visitor.KeepPictureAsync("question");
        await page.Locator("dialog .back").ClickAsync();
        await page.Locator("dialog").WaitForAsync(new LocatorWaitForOptions { State = WaitForSelectorState.Detached });
        Assert.Equal(before, await IncarnationAsync(admin));

        await button.ClickAsync();
        Assert.Contains("n2 was declared gone", await visitor.ConfirmAsync(), StringComparison.Ordinal);

        // Whoever plans writes it down; nobody may for a while.
        await Eventually.Holds(async () => (await AuditAsync(admin)).Any(entry => entry is { Action: "forget", Subject: "n2", Actor: not "" }), "the line of the audit about it");

        // It lives, so it comes back, as another run.
        await Eventually.Holds(async () => await IncarnationAsync(admin) > before, "n2 back under a higher incarnation");
        await Eventually.Holds(
            async () => (await page.Locator("#node-n2").AllInnerTextsAsync()).Any(text => !text.Contains($"run {before}", StringComparison.Ordinal)), "the new run of n2 on the page");
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task Orders_are_paused_and_resumed_from_the_page_and_both_is_written_down()
    {
        using var admin = mesh.Admin();
        await Eventually.Holds(async () => await IsPausedAsync(admin) == false, "a scheduler");
        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        await page.GotoAsync(mesh.Page("/cluster").AbsoluteUri);

        await page.Locator("#panel-orders .panel-tools").GetByText("Pause").ClickAsync();
        await visitor.ConfirmAsync();
        await page.Locator("#panel-orders").GetByText("Paused").WaitForAsync();
        await Eventually.Holds(async () => await IsPausedAsync(admin) == true, "the pause in the API");
        await visitor.KeepPictureAsync("paused");

        await page.Locator("#panel-orders .panel-tools").GetByText("Resume").ClickAsync();
        await visitor.ConfirmAsync();
        await page.Locator("#panel-orders .panel-tools").GetByText("Pause").WaitForAsync();
        await Eventually.Holds(async () => await IsPausedAsync(admin) == false, "the end of the pause in the API");
        await page.Locator("#panel-audit").GetByText("resume").First.WaitForAsync();
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task The_pages_of_sequences_agree_with_the_api()
    {
        using var admin = mesh.Admin();
        var blocks = new Blocks(chain: 3, BlockCount);
        await DashboardMesh.MoveAsync(blocks, mesh.Nodes[1], mesh.Nodes[2]);
        await OpenAsync(admin, "chat-1", blocks);
        await OpenAsync(admin, "chat-2", blocks);
        await AnswerAsync(() => admin.PinSequenceAsync(null, "chat-1", new SequencePinRequest(2, 3600, RequestId: "a4"), CancellationToken.None));
        await AnswerAsync(() => admin.ParkSequenceAsync(null, "chat-2", new SequenceParkRequest("n3", 600, RequestId: "a5"), CancellationToken.None));
        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        await page.GotoAsync(mesh.Page("/sequences").AbsoluteUri);
        await page.Locator("[data-sequence='chat-2']").WaitForAsync();

        // A page shows the picture of a moment ago.
        await Eventually.Holds(
            async () => (await AnswerAsync(() => admin.ListSequencesAsync(null, null, 100, CancellationToken.None))).Sequences.Select(sequence => sequence.Name)
                .SequenceEqual(await page.Locator("[data-sequence]").AllInnerTextsAsync()),
            "the sequences of the API on the page");
        await Eventually.Holds(
            async () => (await RowAsync("chat-1")).Contains(
                (await AnswerAsync(() => admin.GetSequenceAsync(null, "chat-1", CancellationToken.None))).Pin!.State, StringComparison.Ordinal),
            "the state of the pin as in the API");
        await Eventually.Holds(
            async () => await RowAsync("chat-2") is var row && row.Contains("Parked", StringComparison.Ordinal) && row.Contains("n3", StringComparison.Ordinal),
            "the sequence parked with its next holder, on the page");
        await visitor.KeepPictureAsync("sequences");

        await page.Locator("[data-sequence='chat-1']").ClickAsync();
        await page.Locator("[data-segment='1']").WaitForAsync();
        var status = await AnswerAsync(() => admin.GetSequenceAsync(null, "chat-1", CancellationToken.None));
        await visitor.FigureAsync("#tile-blocks", count => count == status.Blocks, $"{status.Blocks} blocks");
        await visitor.FigureAsync("#tile-tokens", count => count == status.Tokens, $"{status.Tokens} tokens");

        // The scheduler may make further copies at any time; both must come to say the same.
        var (asked, shown) = ("", "");
        await Eventually.Holds(
            async () =>
            {
                asked = PlacesOf(await AnswerAsync(() => admin.GetSegmentPlacesAsync(null, "chat-1", 0, 100, CancellationToken.None)));
                shown = await page.EvaluateAsync<string>(
                    "[...document.querySelectorAll('[data-segment]')].map(s => [...s.querySelectorAll('[data-place]')].map(p => p.dataset.place).join(',')).join(';')");
                return asked == shown && asked.Split(';').All(places => places.Contains("n2", StringComparison.Ordinal) && places.Contains("n3", StringComparison.Ordinal));
            },
            () => $"both holders of each segment: the API says {asked}, the page {shown}");
        await page.Locator(".timeline").GetByText("Pin ends").WaitForAsync();
        Assert.Empty(visitor.Complaints);
        await visitor.KeepPictureAsync("sequence");

        static string PlacesOf(SegmentList list) =>
            string.Join(';', list.Segments.Select(segment => string.Join(',', (segment.Places ?? []).Select(place => place.Node))));

        Task<string> RowAsync(string name) => page.Locator("tr", new PageLocatorOptions { Has = page.Locator($"[data-sequence='{name}']") }).InnerTextAsync();
    }

    [Theory]
    [InlineData(1280, ColorScheme.Dark)]
    [InlineData(390, ColorScheme.Light)]
    public async Task Every_page_fits_and_leads_to_the_others(int width, ColorScheme scheme)
    {
        using var admin = mesh.Admin();
        var blocks = new Blocks(chain: width, BlockCount);
        var name = $"wide-{width}";
        await DashboardMesh.MoveAsync(blocks, mesh.Nodes[0], mesh.Nodes[1]);
        await OpenAsync(admin, name, blocks);
        await using var visitor = await browser.VisitAsync(width, scheme);
        var page = visitor.Page;
        await page.GotoAsync(mesh.Http.AbsoluteUri);
        var look = $"{width}-{scheme.ToString().ToLowerInvariant()}";
        await VisitAsync("Cluster", "#node-n3", "cluster");
        await VisitAsync("Sequences", $"[data-sequence='{name}']", "sequences");
        await page.Locator($"[data-sequence='{name}']").ClickAsync();
        await page.Locator("[data-segment='0'] .chip").First.WaitForAsync();
        await FitsAsync("sequence");
        await VisitAsync("Node", "#tier-peers", "node");
        await page.GotoAsync(mesh.Page("/act?do=drain&subject=n2").AbsoluteUri);
        Assert.Equal("Drain n2?", await page.Locator("h1").InnerTextAsync());
        await FitsAsync("act");

        async Task VisitAsync(string place, string sign, string picture)
        {
            await page.Locator(".pages").GetByText(place, new LocatorGetByTextOptions { Exact = true }).ClickAsync();
            await page.Locator(sign).WaitForAsync();
            await visitor.NextFrameAsync();
            await FitsAsync(picture);
        }

        async Task FitsAsync(string picture)
        {
            Assert.Equal("", await visitor.WiderThanThePageAsync());
            await visitor.KeepPictureAsync($"{picture}-{look}");
        }
    }

    [Fact]
    public async Task A_single_node_says_that_it_is_one()
    {
        await using var node = await DashboardNode.StartAsync();
        await using var visitor = await browser.VisitAsync();
        await visitor.Page.GotoAsync(node.Dashboard.AbsoluteUri + "/cluster");
        await visitor.Page.Locator("#alone").WaitForAsync();
        Assert.Equal(1, await visitor.Page.Locator(".member").CountAsync());
        await visitor.KeepPictureAsync("cluster-alone");
        await visitor.Page.GotoAsync(node.Dashboard.AbsoluteUri + "/sequences");
        await visitor.Page.GetByText("No sequences").WaitForAsync();
        await visitor.Page.GotoAsync(node.Dashboard.AbsoluteUri + "/sequence?name=nobody");
        await visitor.Page.GetByText("no such sequence").WaitForAsync();
        Assert.Empty(visitor.Complaints);
    }

    [Fact]
    public async Task A_hidden_page_asks_for_nothing_and_goes_on_when_it_is_seen_again()
    {
        await using var node = await DashboardNode.StartAsync();
        await using var visitor = await browser.VisitAsync();
        var opened = new List<IWebSocket>();
        visitor.Page.WebSocket += (_, socket) => opened.Add(socket);
        await visitor.Page.GotoAsync(node.Dashboard.AbsoluteUri);
        await visitor.NextFrameAsync();
        var socket = Assert.Single(opened);

        await HideAsync(visitor.Page, true);
        await Eventually.Holds(() => socket.IsClosed, "the end of the socket of a hidden page");
        Assert.Single(opened);

        await HideAsync(visitor.Page, false);
        await visitor.NextFrameAsync();
        await Eventually.Holds(() => opened.Count == 2, "another socket of the page that is seen again");
    }

    [Fact]
    public async Task Only_an_admitted_viewer_on_a_page_of_the_dashboard_acts()
    {
        await using var node = await DashboardNode.StartAsync(("an-operators-token", "admin"));
        using var http = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { Timeout = Eventually.Patience };
        var act = new Uri(node.Dashboard.AbsoluteUri + "/act");
        Assert.Equal(HttpStatusCode.Unauthorized, await PostAsync(act.GetLeftPart(UriPartial.Authority)));

        await using var open = await DashboardNode.StartAsync();
        act = new Uri(open.Dashboard.AbsoluteUri + "/act");
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync("http://elsewhere.example"));
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync(null));
        Assert.Equal(HttpStatusCode.NotFound, await PostAsync(act.GetLeftPart(UriPartial.Authority)));

        async Task<HttpStatusCode> PostAsync(string? origin)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, act)
            {
                Content = new FormUrlEncodedContent([new("do", "forget"), new("subject", "nobody")]),
            };
            if (origin is not null)
            {
                request.Headers.Add("Origin", origin);
            }

            using var response = await http.SendAsync(request);
            return response.StatusCode;
        }
    }

    private static Task HideAsync(IPage page, bool isHidden) => page.EvaluateAsync(
        "hidden => { Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true }); document.dispatchEvent(new Event('visibilitychange')); }", isHidden);

    private static async Task<long> IncarnationAsync(AdminClient admin) =>
        (await admin.GetNodesAsync(CancellationToken.None)).Nodes.FirstOrDefault(node => node.Id == "n2")?.Incarnation ?? 0;

    /// <summary>Empty while no node plans, or it is not reached.</summary>
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

    /// <summary>Null: no node plans yet, or it is not reached.</summary>
    private static async Task<bool?> IsPausedAsync(AdminClient admin)
    {
        try
        {
            return (await admin.GetOrdersAsync(10, CancellationToken.None)) is { Scheduler.Length: > 0 } list ? list.IsPaused : null;
        }
        catch (AdminRefusedException)
        {
            return null;
        }
    }

    /// <summary>A sequence of two segments over a chain.</summary>
    private static async Task OpenAsync(AdminClient admin, string name, Blocks blocks)
    {
        var open = new SequenceOpenRequest(name, Blocks.Scope.Model, Blocks.Scope.Revision, Holder: "worker-7", RequestId: "a1");
        var sequence = await AnswerAsync(() => admin.OpenSequenceAsync(null, open, CancellationToken.None));
        string? parent = null;
        foreach (var run in blocks.Hashes.Select(hash => Convert.ToHexStringLower(hash.Span)).Chunk(BlockCount / 2))
        {
            var append = new SequenceAppendRequest(
                sequence.Epoch, run.Length, run.Length * 256, run.Length * Blocks.PayloadBytes, parent, run[0], run[^1], RequestId: parent is null ? "a2" : "a3");
            await AnswerAsync(() => admin.AppendSegmentAsync(null, name, append, CancellationToken.None));
            parent = run[^1];
        }
    }

    /// <summary>Asks again while Redis does not answer in time, as it may on a busy machine; with the same request id nothing happens twice.</summary>
    private static Task<T> AnswerAsync<T>(Func<Task<T>> ask) => Eventually.Succeeds<T, AdminRefusedException>(ask, "an answer of the sequences");
}
