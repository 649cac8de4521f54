using KvMesh.Client.Admin;
using KvMesh.Dashboard.Access;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;
using Microsoft.Playwright;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>The page in a browser, on a running node.</summary>
[Trait("Category", "System")]
public sealed class DashboardPageTests(DashboardBrowser browser) : IClassFixture<DashboardBrowser>
{
    private const string Token = "an-operators-token";
    private const string WeakToken = "a-readers-token";

    [Theory]
    [InlineData(1280, ColorScheme.Light)]
    [InlineData(1280, ColorScheme.Dark)]
    [InlineData(390, ColorScheme.Light)]
    [InlineData(390, ColorScheme.Dark)]
    public async Task Figures_move_under_load_and_agree_with_the_api(int width, ColorScheme scheme)
    {
        await using var node = await DashboardNode.StartAsync();
        using var admin = node.Admin();
        await using var visitor = await browser.VisitAsync(width, scheme);
        await visitor.Page.GotoAsync(node.Http.AbsoluteUri);

        await using (await RespLoad.StartAsync(node.Resp))
        {
            var before = await visitor.FigureAsync("#tile-read", read => read > 0, "bytes are read");
            await visitor.FigureAsync("#tile-read", read => read > before, $"more than {before} bytes are read");
            await visitor.FigureAsync("#tile-hit-ratio", ratio => ratio is > 0.7 and < 0.8, "three hits to a miss");
            await visitor.FigureAsync("#protocol-resp", connections => connections == 1, "one RESP connection");
        }

        // With the load gone both must come to rest at the same figures.
        await WaitUntilNobodyIsConnectedAsync(admin);
        await visitor.AgreesAsync("#tile-read", async () => (await admin.GetStatusAsync(CancellationToken.None)).Traffic.ReadBytes);
        await visitor.AgreesAsync("#tile-written", async () => (await admin.GetStatusAsync(CancellationToken.None)).Traffic.WrittenBytes);
        await visitor.AgreesAsync("#tile-blocks", async () => Assert.Single(await admin.GetTenantsAsync(CancellationToken.None)).Blocks);
        await visitor.AgreesAsync("#tier-host", async () => (await admin.GetStatusAsync(CancellationToken.None)).Tiers[0].UsedBytes);
        await visitor.FigureAsync("#tile-mismatches", mismatches => mismatches == 0, "no mismatch");

        // Seconds that a busy node has missed break the line.
        await visitor.Page.WaitForFunctionAsync("document.querySelector('#panel-throughput path.line').getAttribute('d').includes('L')");
        Assert.Equal("", await visitor.WiderThanThePageAsync());
        Assert.Equal(scheme == ColorScheme.Dark ? "dark" : "light", await visitor.Page.EvaluateAsync<string>("getComputedStyle(document.documentElement).colorScheme"));
        Assert.All(visitor.Requests, request => Assert.Equal(node.Http.Authority, request.Authority));
        Assert.Empty(visitor.Complaints);
        await visitor.KeepPictureAsync($"{width}-{scheme.ToString().ToLowerInvariant()}");
    }

    [Fact]
    public async Task Evictions_prefixes_latency_and_the_disk_agree_with_the_api()
    {
        await using var node = await DashboardNode.StartWithDiskAsync();
        using var admin = node.Admin();
        await using var visitor = await browser.VisitAsync();
        await visitor.Page.GotoAsync(node.Dashboard.AbsoluteUri);

        await using (await RespLoad.StartAsync(node.Resp))
        {
            await visitor.FigureAsync("#evicted-host", blocks => blocks > 0, "blocks leave RAM");
            await visitor.FigureAsync("#tier-disk", bytes => bytes > 0, "blocks come to the disk");

            // What the page shows of a second stays in the node's history for ten minutes.
            var median = await visitor.FigureAsync("#tile-latency", microseconds => microseconds > 0, "gets are timed");
            await Eventually.Holds(
                async () => (await admin.GetHistoryAsync(600, CancellationToken.None)).Samples.Any(sample => sample.Get?.P50Microseconds == median),
                $"the median of {median} µs that the page shows in /api/v1/history");
        }

        await WaitUntilNobodyIsConnectedAsync(admin);
        foreach (var tier in new[] { "host", "disk" })
        {
            async Task<TierStatus> Told() => (await admin.GetStatusAsync(CancellationToken.None)).Tiers.Single(each => each.Name == tier);
            await visitor.AgreesAsync($"#evicted-{tier}", async () => (await Told()).Evictions);
            await visitor.AgreesAsync($"#tier-{tier} .meter-figures", async () => (await Told()).UsedBytes);
            await visitor.AgreesAsync($"#tier-{tier} .meter-note", async () => (await Told()).Blocks);
        }

        // The node groups its blocks anew while somebody asks, and the page asks now and then.
        await visitor.Page.Locator("#panel-prefixes tbody tr").Nth(1).WaitForAsync();
        await visitor.AgreesAsync(
            "the top prefixes",
            page => page.EvaluateAsync<string>(
                "[...document.querySelectorAll('#panel-prefixes tbody tr')].map(row => [row.querySelector('code').title, row.querySelector('.blocks [data-value]').dataset.value, " +
                "row.querySelector('.hits [data-value]').dataset.value].join(' ')).join(', ')"),
            async () => string.Join(", ", (await admin.GetPrefixesAsync(8, CancellationToken.None)).Prefixes.Select(each => $"{each.Prefix} {each.Blocks} {each.Hits}")));
        Assert.Equal(2, await visitor.Page.Locator("#panel-prefixes tbody tr").CountAsync());
        Assert.Empty(visitor.Complaints);
        await visitor.KeepPictureAsync("disk");
    }

    [Fact]
    public async Task Blocks_that_are_kept_in_fewer_bytes_agree_with_the_api()
    {
        await using var node = await DashboardNode.StartWithCodecAsync();
        using var admin = node.Admin();
        await using var visitor = await browser.VisitAsync(390);
        await visitor.Page.GotoAsync(node.Dashboard.AbsoluteUri);

        await using (await RespLoad.StartAsync(node.Resp, isRepetitive: true))
        {
            await visitor.FigureAsync("#codec-disk-opaque .meter-note", blocks => blocks > 0, "blocks are encoded");
        }

        await WaitUntilNobodyIsConnectedAsync(admin);
        async Task<CodecStatus> Told() =>
            (await admin.GetStatusAsync(CancellationToken.None)).Codings!.Single(each => each.Tier == "disk").Coding.Codecs.Single(codec => codec.Name == "opaque");
        await visitor.AgreesAsync("#codec-disk-opaque .meter-note", async () => (await Told()).EncodedBlocks);
        await visitor.AgreesAsync("#codec-disk-opaque .meter-figures", async () => (await Told()).EncodedFromBytes);
        Assert.Equal("", await visitor.WiderThanThePageAsync());
        Assert.Empty(visitor.Complaints);
        await visitor.KeepPictureAsync("encoded");
    }

    [Fact]
    public async Task Keeps_the_last_figures_and_says_so_when_the_node_stops_and_goes_on_when_it_is_back()
    {
        await using var node = await DashboardNode.StartAsync(FreePort.Next());
        await using var console = await ConsoleDashboard.StartAsync(node.Http);
        await using var visitor = await browser.VisitAsync();
        await visitor.Page.GotoAsync(console.Page.AbsoluteUri);
        double written;
        await using (await RespLoad.StartAsync(node.Resp))
        {
            written = await visitor.FigureAsync("#tile-written", bytes => bytes > 0, "bytes are written");
        }

        await node.StopAsync();

        await visitor.Page.Locator("#offline").WaitForAsync();
        Assert.Contains("does not answer", await visitor.Page.Locator("#offline").InnerTextAsync(), StringComparison.Ordinal);
        await visitor.FigureAsync("#tile-written", bytes => bytes >= written, "the last figures");
        await visitor.NextFrameAsync();
        await visitor.KeepPictureAsync("offline");

        await using var again = await DashboardNode.StartAsync(node.Http.Port);
        await visitor.Page.Locator("#offline").WaitForAsync(new LocatorWaitForOptions { State = WaitForSelectorState.Detached });
        await visitor.FigureAsync("#tile-written", bytes => bytes == 0, "the figures of the new process");
    }

    [Fact]
    public async Task Says_that_the_dashboard_itself_is_gone()
    {
        await using var node = await DashboardNode.StartAsync();
        await using var visitor = await browser.VisitAsync();
        await visitor.Page.GotoAsync(node.Dashboard.AbsoluteUri);
        await visitor.NextFrameAsync();

        await node.StopAsync();

        await visitor.Page.Locator("#lost").WaitForAsync();
        Assert.Equal("test-node", await visitor.Page.Locator("h1").InnerTextAsync());
    }

    [Fact]
    public async Task Shows_sixteen_pages_and_tells_the_seventeenth_to_wait()
    {
        await using var node = await DashboardNode.StartAsync();
        var visitors = new List<Visitor>();
        try
        {
            for (var count = 0; count < 16; count++)
            {
                var visitor = await browser.VisitAsync();
                visitors.Add(visitor);
                await visitor.Page.GotoAsync(node.Dashboard.AbsoluteUri);
                await visitor.NextFrameAsync();
            }

            await using var late = await browser.VisitAsync();

            // One of the sixteen may have lost its view to a busy machine, and takes it again by itself as soon as it is given back.
            await Eventually.Holds(async () => (await late.Page.GotoAsync(node.Dashboard.AbsoluteUri))!.Status == 503, "the refusal of one page too many");
            Assert.Contains("All 16 views are taken", await late.Page.Locator("h1").InnerTextAsync(), StringComparison.Ordinal);

            await visitors[0].DisposeAsync();
            visitors.RemoveAt(0);

            // The page tries again by itself.
            await late.Page.Locator(".board").WaitForAsync();
        }
        finally
        {
            foreach (var visitor in visitors)
            {
                await visitor.DisposeAsync();
            }
        }
    }

    [Fact]
    public async Task Asks_once_for_the_token_and_keeps_only_a_signed_name_of_the_session()
    {
        await using var node = await DashboardNode.StartAsync((Token, "admin"), (WeakToken, "read"));
        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        var status = 0;
        page.Response += (_, response) => status = response.Request.IsNavigationRequest ? response.Status : status;
        await page.GotoAsync(node.Dashboard.AbsoluteUri);

        // A busy node tells the dashboard late that it wants a token: then the page comes without figures first, and asks by itself.
        await page.Locator("#token").WaitForAsync();
        await Eventually.Holds(() => status == 401, "the status of the question for a token");

        await visitor.GiveTokenAsync("not-a-token");
        await visitor.Words("does not know this token").WaitForAsync();
        await visitor.GiveTokenAsync(WeakToken);
        await visitor.Words("admin").WaitForAsync();
        await visitor.GiveTokenAsync(Token);
        await visitor.NextFrameAsync();

        var cookie = Assert.Single(await visitor.Context.CookiesAsync());
        Assert.Equal(Sessions.CookieName, cookie.Name);
        Assert.True(cookie.HttpOnly);
        Assert.Equal(SameSiteAttribute.Strict, cookie.SameSite);
        Assert.DoesNotContain(Token, cookie.Value, StringComparison.Ordinal);

        await page.ReloadAsync();
        await visitor.NextFrameAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await page.Locator("#token").WaitForAsync();
        Assert.Empty(await visitor.Context.CookiesAsync());
    }

    [Fact]
    public async Task Colours_are_chosen_with_the_keyboard_and_stay()
    {
        await using var node = await DashboardNode.StartAsync();
        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        await page.GotoAsync(node.Dashboard.AbsoluteUri);

        await page.Locator("#theme").FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await page.Keyboard.PressAsync("Enter");
        await page.ReloadAsync();

        Assert.Equal("dark", await page.EvaluateAsync<string>("getComputedStyle(document.documentElement).colorScheme"));
        Assert.Equal("Colours: dark", await page.Locator("#theme").GetAttributeAsync("aria-label"));
    }

    /// <summary>The node may still be answering the last request of a client that hung up.</summary>
    private static async Task WaitUntilNobodyIsConnectedAsync(AdminClient admin)
    {
        using var patience = new CancellationTokenSource(Eventually.Patience);
        await foreach (var update in admin.WatchAsync(patience.Token))
        {
            if (update.Status.Protocols.All(protocol => protocol.OpenConnections == 0))
            {
                return;
            }
        }

        Assert.Fail("The node ended its stream while a client was still connected.");
    }
}
