using KvMesh.Client.Admin;
using KvMesh.Dashboard.Access;
using KvMesh.TestKit;
using Microsoft.Playwright;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>The page in a browser, on a running node.</summary>
[Trait("Category", "System")]
public sealed class DashboardPageTests(DashboardBrowser browser) : IClassFixture<DashboardBrowser>
{
    private const string Token = "an-operators-token";
    private const string WeakToken = "a-readers-token";

    /// <summary>Names what makes the page scroll sideways.</summary>
    private const string WiderThanThePage =
        "[...document.querySelectorAll('body *')].filter(e => document.documentElement.scrollWidth > innerWidth && e.getBoundingClientRect().right > innerWidth)" +
        ".map(e => e.tagName + '.' + e.className).join(' ')";

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
        var status = await admin.GetStatusAsync(CancellationToken.None);
        await visitor.FigureAsync("#tile-read", read => read == status.Traffic.ReadBytes, $"{status.Traffic.ReadBytes} as in /api/v1/status");
        await visitor.FigureAsync("#tile-written", written => written == status.Traffic.WrittenBytes, $"{status.Traffic.WrittenBytes} as in /api/v1/status");
        var tenant = Assert.Single(await admin.GetTenantsAsync(CancellationToken.None));
        await visitor.FigureAsync("#tile-blocks", blocks => blocks == tenant.Blocks, $"{tenant.Blocks} as in /api/v1/tenants");
        await visitor.FigureAsync("#tier-host", used => used == status.Tiers[0].UsedBytes, $"{status.Tiers[0].UsedBytes} as in /api/v1/status");
        await visitor.FigureAsync("#tile-mismatches", mismatches => mismatches == 0, "no mismatch");

        Assert.True(await visitor.Page.EvaluateAsync<bool>("document.querySelector('#panel-throughput path.line').getAttribute('d').includes('L')"), "The chart has no line.");
        Assert.Equal("", await visitor.Page.EvaluateAsync<string>(WiderThanThePage));
        Assert.Equal(scheme == ColorScheme.Dark ? "dark" : "light", await visitor.Page.EvaluateAsync<string>("getComputedStyle(document.documentElement).colorScheme"));
        Assert.All(visitor.Requests, request => Assert.Equal(node.Http.Authority, request.Authority));
        Assert.Empty(visitor.Complaints);
        await KeepPictureAsync(visitor, $"{width}-{scheme.ToString().ToLowerInvariant()}");
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
        await KeepPictureAsync(visitor, "offline");

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
            var refusal = await late.Page.GotoAsync(node.Dashboard.AbsoluteUri);
            Assert.Equal(503, refusal!.Status);
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
        Assert.Equal(401, (await page.GotoAsync(node.Dashboard.AbsoluteUri))!.Status);

        await GiveTokenAsync(page, "not-a-token");
        Assert.Contains("does not know this token", await page.Locator("#words").InnerTextAsync(), StringComparison.Ordinal);
        await GiveTokenAsync(page, WeakToken);
        Assert.Contains("admin", await page.Locator("#words").InnerTextAsync(), StringComparison.Ordinal);
        await GiveTokenAsync(page, Token);
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

    private static async Task GiveTokenAsync(IPage page, string token)
    {
        await page.Locator("#token").FillAsync(token);
        await page.RunAndWaitForResponseAsync(
            () => page.Locator("#token").PressAsync("Enter"), response => response.Url.EndsWith("/sign-in", StringComparison.Ordinal));
        await page.WaitForLoadStateAsync(LoadState.DOMContentLoaded);
    }

    /// <summary>Leaves a picture for a person to look at, in the folder that <c>KVMESH_SCREENSHOTS</c> names.</summary>
    private static async Task KeepPictureAsync(Visitor visitor, string name)
    {
        if (Environment.GetEnvironmentVariable("KVMESH_SCREENSHOTS") is { Length: > 0 } folder)
        {
            await visitor.Page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, $"dashboard-{name}.png"), FullPage = true });
        }
    }
}
