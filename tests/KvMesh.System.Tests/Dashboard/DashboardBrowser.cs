using System.Collections.Concurrent;
using KvMesh.TestKit;
using Microsoft.Playwright;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>One Chromium for all tests of the dashboard. <c>KVMESH_TEST_CHROMIUM</c> names another one than Debian's.</summary>
public sealed class DashboardBrowser : IAsyncLifetime
{
    /// <summary>Path of the browser.</summary>
    public static string Program { get; } = Environment.GetEnvironmentVariable("KVMESH_TEST_CHROMIUM") ?? "/usr/bin/chromium";

    private static readonly string[] Arguments =
    [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async Task InitializeAsync()
    {
        _playwright = await Playwright.CreateAsync();
        _browser = await LaunchAsync(_playwright);
    }

    /// <summary>Starts a browser, which is the caller's to close.</summary>
    /// <param name="launcher">A script that starts it; null: nothing stands in between.</param>
    internal static Task<IBrowser> LaunchAsync(IPlaywright playwright, string? launcher = null, params string[] arguments)
    {
        Assert.True(File.Exists(Program), $"The tests of the dashboard need Chromium at {Program}: install it, or name it in KVMESH_TEST_CHROMIUM.");
        return playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = launcher ?? Program, Args = [.. Arguments, .. arguments], Timeout = (float)Eventually.Patience.TotalMilliseconds });
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
    internal Task<Visitor> VisitAsync(int width = 1280, ColorScheme scheme = ColorScheme.Light) => VisitAsync(_browser!, width, scheme);

    /// <summary>The same in another browser.</summary>
    internal static async Task<Visitor> VisitAsync(IBrowser browser, int width = 1280, ColorScheme scheme = ColorScheme.Light)
    {
        var context = await browser.NewContextAsync(new BrowserNewContextOptions
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

    /// <summary>
    /// Waits until the page shows what the node says. Both go on meanwhile, so that they are asked again until one frame and one answer are the same.
    /// </summary>
    /// <param name="shown">Reads the page.</param>
    /// <param name="told">Asks the node.</param>
    public async Task AgreesAsync<T>(string what, Func<IPage, Task<T>> shown, Func<Task<T>> told)
    {
        T? onPage = default;
        T? ofNode = default;
        await Eventually.Holds(
            async () =>
            {
                (onPage, ofNode) = (await shown(Page), await told());
                if (EqualityComparer<T>.Default.Equals(onPage, ofNode))
                {
                    return true;
                }

                await NextFrameAsync();
                return false;
            },
            () => $"{what} the same on the page and in the API; the page shows {onPage}, the node says {ofNode}");
    }

    /// <inheritdoc cref="AgreesAsync{T}"/>
    public Task AgreesAsync(string selector, Func<Task<long>> told) => AgreesAsync(
        selector, async page => await page.Locator($"{selector} [data-value]").First.GetAttributeAsync("data-value") ?? "nothing", async () => $"{await told()}");

    /// <summary>Waits until the board shows something newer. A page that loads itself again meanwhile has no board for a while.</summary>
    public async Task NextFrameAsync()
    {
        var version = await Page.Locator(".board").GetAttributeAsync("data-version");
        await Page.WaitForFunctionAsync(
            "seen => { const board = document.querySelector('.board'); return board !== null && board.dataset.version !== seen; }", version);
    }

    /// <summary>
    /// Gives a token to the page that asks for one, and goes on at once: what the next page shows tells the caller that it is there, which no event of
    /// a navigation does for sure, since it may be over before somebody waits for it.
    /// </summary>
    public async Task GiveTokenAsync(string token)
    {
        await Page.Locator("#token").FillAsync(token);
        await Page.Locator("#token").PressAsync("Enter");
    }

    /// <summary>What the page says. The page before stays for a while after an answer has come, so that only its words tell which it is.</summary>
    public ILocator Words(string text) => Page.Locator("#words", new PageLocatorOptions { HasText = text });

    /// <summary>Says yes, as often as the node says that it did not reach Redis or whoever plans, and returns what the page says then.</summary>
    public async Task<string> ConfirmAsync()
    {
        await Page.Locator("dialog button").ClickAsync();
        await Eventually.Holds(
            async () =>
            {
                await Page.Locator("#done, #words").First.WaitForAsync();
                if (await Page.Locator("#words").CountAsync() == 0)
                {
                    return true;
                }

                await Page.Locator(".question button").ClickAsync();
                return false;
            },
            "the page after an action");
        return await Page.Locator("#done").InnerTextAsync();
    }

    /// <summary>Names what makes the page scroll sideways; empty when nothing does.</summary>
    public Task<string> WiderThanThePageAsync() => Page.EvaluateAsync<string>(
        "[...document.querySelectorAll('body *')].filter(e => document.documentElement.scrollWidth > innerWidth && e.getBoundingClientRect().right > innerWidth)" +
        ".map(e => e.tagName + '.' + e.className).join(' ')");

    /// <summary>Leaves a picture for a person to look at, in the folder that <c>KVMESH_TEST_SCREENSHOTS</c> names.</summary>
    public async Task KeepPictureAsync(string name)
    {
        if (Environment.GetEnvironmentVariable("KVMESH_TEST_SCREENSHOTS") is { Length: > 0 } folder)
        {
            await Page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, $"dashboard-{name}.png"), FullPage = true });
        }
    }

    public async ValueTask DisposeAsync() => await Context.CloseAsync();
}
