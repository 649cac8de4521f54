using System.Globalization;
using KvMesh.Client;
using KvMesh.Dashboard.Board;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;
using Microsoft.Playwright;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>The page of capacity in a browser, on a node whose tenants ask for less and for more than its RAM.</summary>
[Trait("Category", "System")]
public sealed class CapacityPageTests(DashboardBrowser browser) : IClassFixture<DashboardBrowser>
{
    private const string Chat = "chat";
    private const string Documents = "documents";
    private const double Mebibyte = 1 << 20;

    [Theory]
    [InlineData(1280, ColorScheme.Light)]
    [InlineData(1280, ColorScheme.Dark)]
    [InlineData(390, ColorScheme.Light)]
    public async Task Curves_and_advice_of_each_tenant_agree_with_the_api(int width, ColorScheme scheme)
    {
        await using var node = await DashboardNode.StartWithTenantsAsync(Chat, Documents);
        using var admin = node.Admin(Chat);
        await AskAsync(node, Chat, blocks: 32);
        await AskAsync(node, Documents, blocks: 256);
        await using var visitor = await browser.VisitAsync(width, scheme);
        var page = visitor.Page;
        await page.GotoAsync(node.Dashboard.AbsoluteUri + "/capacity");
        await visitor.GiveTokenAsync(Chat);
        await page.Locator(".pages").GetByText("Capacity").ClickAsync();
        await page.Locator($"[data-row='{Documents}']").WaitForAsync();

        // Nothing is asked for any more, so that both stay what they are.
        var advice = await admin.GetAdviceAsync(0, 0, 1, CancellationToken.None);
        await AssertShowsAsync(page, advice);
        Assert.Equal(2 * 288, advice.All.Touches);
        Assert.InRange(Of(advice, Documents).HostNow, 0, 0.3);
        Assert.Equal(0.5, Of(advice, Chat).HostNow, precision: 6);
        Assert.Equal("", await visitor.WiderThanThePageAsync());
        await visitor.KeepPictureAsync($"capacity-{width}-{scheme.ToString().ToLowerInvariant()}");

        await page.Locator("#change [name=ram]").FillAsync("0.0625");
        await page.Locator("#change [name=codec]").FillAsync("1.5");
        await page.Locator("#change button").ClickAsync();
        await page.Locator("[data-mark='then']").First.WaitForAsync();
        var changed = await admin.GetAdviceAsync((long)(64 * Mebibyte), 0, 1.5, CancellationToken.None);
        await AssertShowsAsync(page, changed);
        Assert.Equal(0.5, Of(changed, Documents).HostThen, precision: 6);
        Assert.Equal("0.0625", await page.Locator("#change [name=ram]").InputValueAsync());
        Assert.Equal("", await visitor.WiderThanThePageAsync());
        Assert.Empty(ComplaintsOf(visitor));
        await visitor.KeepPictureAsync($"capacity-changed-{width}-{scheme.ToString().ToLowerInvariant()}");
    }

    [Fact]
    public async Task Follows_what_is_asked_and_reads_sizes_under_the_pointer()
    {
        await using var node = await DashboardNode.StartWithTenantsAsync(Chat, Documents);
        await using var visitor = await browser.VisitAsync();
        var page = visitor.Page;
        await page.GotoAsync(node.Dashboard.AbsoluteUri);
        await visitor.GiveTokenAsync(Chat);
        await page.Locator(".pages").GetByText("Capacity").ClickAsync();
        await visitor.FigureAsync("#tile-asked", touches => touches == 0, "nothing asked for");
        await page.Locator("#panel-curve .quiet").WaitForAsync();

        await AskAsync(node, Chat, blocks: 32);

        await visitor.FigureAsync("#tile-asked", touches => touches == 64, "what was asked for");
        await page.Locator("#panel-curve .quiet").WaitForAsync(new LocatorWaitForOptions { State = WaitForSelectorState.Detached });
        await page.GetByText("RAM × 2").ClickAsync();
        await visitor.FigureAsync("#tile-then", found => found == 0.5, "half of it found");
        await Eventually.Holds(
            async () =>
            {
                // A frame may take the words away before they are read.
                await page.Locator("#panel-curve .plot").HoverAsync();
                var tip = string.Join(' ', await page.Locator("#panel-curve .tip").AllInnerTextsAsync());
                return tip.Contains("MiB", StringComparison.Ordinal) && tip.Contains("Missed", StringComparison.Ordinal) && tip.Contains("50.0", StringComparison.Ordinal);
            },
            "size and misses under the pointer");
        Assert.Empty(ComplaintsOf(visitor));
    }

    /// <summary>Looks for a chain, stores it, and looks for it again.</summary>
    private static async Task AskAsync(DashboardNode node, string tenant, int blocks)
    {
        var chain = new Blocks(chain: blocks, blocks);
        await using var client = await KvMeshClient.ConnectAsync(
            new ClientOptions { Endpoint = node.Native, Token = tenant, AllowSharedMemory = false, RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience }, CancellationToken.None);
        await client.MatchPrefixAsync(Blocks.Scope, chain.Joined, TimeSpan.Zero, CancellationToken.None);
        Assert.Equal(blocks, await chain.PutAsync(client));
        await client.MatchPrefixAsync(Blocks.Scope, chain.Joined, TimeSpan.Zero, CancellationToken.None);
    }

    private static async Task AssertShowsAsync(IPage page, AdviceStatus advice)
    {
        var then = advice is not { MoreHostBytes: 0, MoreDiskBytes: 0, CodecRatio: 1 };
        Assert.Equal($"{advice.SampledBlocks}", await page.Locator("#sampled").GetAttributeAsync("data-value"));
        await AssertFigureAsync("#tile-found", advice.All.NodeNow);
        await AssertFigureAsync("#tile-unbounded", advice.All.Largest);
        await AssertCurveAsync("", advice.All);
        foreach (var (tenant, shares) in advice.Tenants)
        {
            var row = $"tr:has([data-row='{tenant}'])";
            await AssertFigureAsync($"{row} .asked", shares.Touches);
            await AssertFigureAsync($"{row} .host-now", shares.HostNow);
            await AssertFigureAsync($"{row} .node-now", shares.NodeNow);
            await AssertFigureAsync($"{row} .margin", shares.Margin);
            await AssertCurveAsync(tenant!, shares);
            if (then)
            {
                await AssertFigureAsync($"{row} .host-then", shares.HostThen);
                await AssertFigureAsync($"{row} .node-then", shares.NodeThen);
            }
        }

        Assert.Equal(["RAM", "and disk", .. then ? ["then"] : Array.Empty<string>()], await page.Locator("[data-tenant=''] [data-mark]").AllInnerTextsAsync());

        async Task AssertFigureAsync(string selector, double expected) => Assert.Equal(
            expected, double.Parse((await page.Locator($"{selector} [data-value]").First.GetAttributeAsync("data-value"))!, CultureInfo.InvariantCulture), precision: 9);

        async Task AssertCurveAsync(string tenant, AdviceShares shares) => Assert.Equal(
            ChartPaths.Line([.. shares.Curve.Select(found => (double?)(1 - found))], ChartScale.Share), await page.Locator($"[data-tenant='{tenant}'] path.line").GetAttributeAsync("d"));
    }

    /// <summary>But for the question for a token, which comes as an error.</summary>
    private static IEnumerable<string> ComplaintsOf(Visitor visitor) => visitor.Complaints.Where(complaint => !complaint.Contains("401", StringComparison.Ordinal));

    private static AdviceShares Of(AdviceStatus advice, string tenant) => advice.Tenants.Single(each => each.Tenant == tenant).Shares;
}
