using System.Collections.Concurrent;
using KvMesh.TestKit;
using Microsoft.Playwright;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>One Chromium for all tests of the dashboard. <c>KVMESH_CHROMIUM</c> names another one than Debian's.</summary>
public sealed class DashboardBrowser : IAsyncLifetime
{
    private static readonly string[] Arguments =
    [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async Task InitializeAsync()
    {
        var path = Environment.GetEnvironmentVariable("KVMESH_CHROMIUM") ?? "/usr/bin/chromium";
        Assert.True(File.Exists(path), $"The tests of the dashboard need Chromium at {path}: install it, or name it in KVMESH_CHROMIUM.");
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = path, Args = Arguments });
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.CloseAsync();
        }

        _playwright?.Dispose();
    }

    /// <summary>A browser of its own, without the cookies of others.</summary>
    internal async Task<Visitor> VisitAsync(int width = 1280, ColorScheme scheme = ColorScheme.Light)
    {
        var context = await _browser!.NewContextAsync(new BrowserNewContextOptions
        {
            ViewportSize = new ViewportSize { Width = width, Height = width < 500 ? 844 : 900 },
            ColorScheme = scheme,
        });
        context.SetDefaultTimeout((float)Eventually.Patience.TotalMilliseconds);
        return new Visitor(context, await context.NewPageAsync());
    }
}

/// <summary>One person with a browser, who notes what the page complained about and where it went.</summary>
internal sealed class Visitor : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _complaints = [];
    private readonly ConcurrentQueue<Uri> _requests = [];

    public Visitor(IBrowserContext context, IPage page)
    {
        Context = context;
        Page = page;
        page.PageError += (_, error) => _complaints.Enqueue(error);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
            {
                _complaints.Enqueue(message.Text);
            }
        };
        page.Request += (_, request) => _requests.Enqueue(new Uri(request.Url));
    }

    public IBrowserContext Context { get; }

    public IPage Page { get; }

    public IEnumerable<string> Complaints => _complaints;

    public IEnumerable<Uri> Requests => _requests;

    /// <summary>Waits until a figure of the page, before rounding, meets the condition.</summary>
    public async Task<double> FigureAsync(string selector, Func<double, bool> isMet, string expected)
    {
        var value = double.NaN;
        await Eventually.Holds(
            async () =>
            {
                var text = await Page.Locator($"{selector} [data-value]").First.GetAttributeAsync("data-value");
                if (double.TryParse(text, out value) && isMet(value))
                {
                    return true;
                }

                // The page changes once a second; its next frame is what is waited for.
                await NextFrameAsync();
                return false;
            },
            () => $"{selector} as expected: {expected}; it stays at {value}");
        return value;
    }

    public async Task NextFrameAsync()
    {
        var version = await Page.Locator(".board").GetAttributeAsync("data-version");
        await Page.WaitForFunctionAsync("seen => document.querySelector('.board').dataset.version !== seen", version);
    }

    public async ValueTask DisposeAsync() => await Context.CloseAsync();
}
