using System.Text.Json;
using KvMesh.Dashboard;
using KvMesh.Dashboard.Access;
using KvMesh.TestKit;
using Microsoft.Playwright;
using Xunit.Abstractions;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>
/// A browser that is not on the machine of the node, as far as the node can see: it comes by an address that is no loopback one, in a network of the
/// test's own. Where the system does not let the tests make one, it comes by a name that is not this machine's, which has to sign in for the
/// same reason. The output says which.
/// </summary>
[Trait("Category", "System")]
public sealed class SignInTests(ITestOutputHelper output) : IAsyncLifetime, IDisposable
{
    private const string Token = "an-operators-token";
    private const string WeakToken = "a-readers-token";
    private const string ForeignName = "node.kvmesh.test";

    private readonly TemporaryDirectory _files = new();
    private readonly NodeFolders _folders = new();
    private IPlaywright _playwright = null!;

    public async Task InitializeAsync() => _playwright = await Playwright.CreateAsync();

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose()
    {
        _playwright.Dispose();
        _folders.Dispose();
        _files.Dispose();
    }

    [Fact]
    public async Task From_an_address_off_loopback_the_token_is_asked_once()
    {
        var (network, refusal) = await OwnNetwork.TryMakeAsync();
        if (network is null)
        {
            output.WriteLine($"By a foreign name, since no network of the test's own can be made: {refusal}");
            await SignInByForeignNameAsync();
            return;
        }

        await using (network)
        {
            output.WriteLine($"By {OwnNetwork.Address} in a network of the test's own.");
            string[] doors = ["--http", $"{OwnNetwork.Address}:0", "--native", $"{OwnNetwork.Address}:0", "--resp", $"{OwnNetwork.Address}:0"];
            _folders.Launcher = [.. network.Launcher, .. _folders.Launcher];
            await AssertRefusesToServeWithoutTokensAsync(doors);
            await using var node = await StartAsync(doors);
            await using var browser = await DashboardBrowser.LaunchAsync(_playwright, LauncherOf(network));
            await SignInAsync(browser, new Uri(node.Addresses.Http, DashboardExtensions.BasePath));
        }
    }

    [Fact]
    public Task By_a_name_that_is_not_this_machines_the_token_is_asked_once() => SignInByForeignNameAsync();

    private async Task SignInByForeignNameAsync()
    {
        await using var node = await StartAsync();
        await using var browser = await DashboardBrowser.LaunchAsync(_playwright, null, $"--host-resolver-rules=MAP {ForeignName} 127.0.0.1");
        await SignInAsync(browser, new Uri($"http://{ForeignName}:{node.Addresses.Http.Port}{DashboardExtensions.BasePath}"));
    }

    private async Task SignInAsync(IBrowser browser, Uri dashboard)
    {
        await using var visitor = await DashboardBrowser.VisitAsync(browser);
        var page = visitor.Page;
        Assert.Equal(401, (await page.GotoAsync(dashboard.AbsoluteUri))!.Status);
        await visitor.GiveTokenAsync("not-a-token");
        await visitor.Words("does not know this token").WaitForAsync();
        await visitor.GiveTokenAsync(WeakToken);
        await visitor.Words("admin").WaitForAsync();
        Assert.Empty(await visitor.Context.CookiesAsync());

        await visitor.GiveTokenAsync(Token);
        await visitor.NextFrameAsync();

        var cookie = Assert.Single(await visitor.Context.CookiesAsync());
        Assert.Equal((Sessions.CookieName, true, SameSiteAttribute.Strict), (cookie.Name, cookie.HttpOnly, cookie.SameSite));
        Assert.Equal(DashboardExtensions.BasePath, cookie.Path);
        Assert.DoesNotContain(Token, cookie.Value, StringComparison.Ordinal);
        Assert.Equal("", await page.EvaluateAsync<string>("document.cookie"));

        // The page is the node's, alive, and asks no second time.
        Assert.Equal(200, (await page.GotoAsync(dashboard.AbsoluteUri))!.Status);
        await visitor.NextFrameAsync();
        await visitor.AgreesAsync(
            "the bytes of RAM in use",
            async each => await each.Locator("#tier-host [data-value]").First.GetAttributeAsync("data-value") ?? "nothing",
            async () => (await StatusAsync(page)).GetProperty("tiers")[0].GetProperty("usedBytes").GetRawText());

        await AssertNobodyElseIsSignedInAsync(browser, dashboard, cookie.Value);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await page.Locator("#token").WaitForAsync();
        Assert.Equal(401, (await page.GotoAsync(dashboard.AbsoluteUri))!.Status);
    }

    private static async Task AssertNobodyElseIsSignedInAsync(IBrowser browser, Uri dashboard, string cookie)
    {
        await using var other = await DashboardBrowser.VisitAsync(browser);
        Assert.Equal(401, (await other.Page.GotoAsync(dashboard.AbsoluteUri))!.Status);
        var forged = (cookie[0] == 'A' ? "B" : "A") + cookie[1..];
        await other.Context.AddCookiesAsync([new Cookie { Name = Sessions.CookieName, Value = forged, Url = dashboard.AbsoluteUri }]);
        Assert.Equal(401, (await other.Page.GotoAsync(dashboard.AbsoluteUri))!.Status);
    }

    /// <summary>What the node answers to whoever has the token, asked from where the browser is.</summary>
    private static async Task<JsonElement> StatusAsync(IPage page) => JsonDocument.Parse(await page.EvaluateAsync<string>(
        "async token => (await fetch('/api/v1/status', { headers: { authorization: 'Bearer ' + token } })).text()", Token)).RootElement;

    private async Task AssertRefusesToServeWithoutTokensAsync(string[] doors)
    {
        await using var node = NodeProcess.Begin(_folders, doors);
        Assert.Equal(2, await node.WaitForExitAsync(Eventually.Patience));
        Assert.Contains("Access:TokenFile", node.Error, StringComparison.Ordinal);
    }

    private Task<NodeProcess> StartAsync(params string[] doors)
    {
        _folders.Environment["KVMESH_Access__TokenFile"] = TestTokens.Write(
            Path.Combine(_files.Path, "tokens.json"), [new TestToken("default", Token, "admin"), new TestToken("default", WeakToken, "read")]);
        return NodeProcess.StartAsync(_folders, ["--arena", "16MiB", .. doors]);
    }

    private string LauncherOf(OwnNetwork network)
    {
        var path = Path.Combine(_files.Path, "chromium-there");
        File.WriteAllText(path, $"#!/bin/sh\nexec {string.Join(' ', network.Launcher)} '{DashboardBrowser.Program}' \"$@\"\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }
}
