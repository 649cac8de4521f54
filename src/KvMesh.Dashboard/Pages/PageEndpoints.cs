using System.Text;
using KvMesh.Dashboard.Access;
using KvMesh.Dashboard.Actions;
using KvMesh.Dashboard.Feed;
using KvMesh.Dashboard.Views;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace KvMesh.Dashboard.Pages;

/// <summary>The pages: those that stay up to date, the question for a token, and the word that all views are taken.</summary>
internal sealed class PageEndpoints(
    ViewerGate gate, ViewSlots slots, Sessions sessions, SignInLimiter limiter, TokenCheck check, TimeProvider time)
{
    /// <summary>How long the first page waits for figures before it shows itself without them.</summary>
    private static readonly TimeSpan FirstPicturePatience = TimeSpan.FromSeconds(2);

    public async Task<IResult> ShowAsync(HttpContext context, LivePage page)
    {
        SetHeaders(context);
        var viewer = gate.Look(context);
        if (!viewer.IsAdmitted)
        {
            return AskForToken(null, StatusCodes.Status401Unauthorized);
        }

        if (slots.IsFull)
        {
            context.Response.Headers.RetryAfter = "10";
            return Page<FullPage>(StatusCodes.Status503ServiceUnavailable, new() { [nameof(FullPage.Limit)] = slots.Limit });
        }

        using var look = page.Look(context.Request.Query, viewer);
        var picture = await FirstPictureAsync(look, context.RequestAborted).ConfigureAwait(false);
        if (picture.State is FeedState.NeedsToken or FeedState.LacksRights)
        {
            var words = viewer.Token is null ? null : Explain(picture.State == FeedState.LacksRights ? TokenVerdict.LacksRights : TokenVerdict.Unknown);
            return AskForToken(words, StatusCodes.Status401Unauthorized);
        }

        return Page<LivePageShell>(StatusCodes.Status200OK, new()
        {
            [nameof(LivePageShell.Html)] = Encoding.UTF8.GetString(await look.RenderAsync(picture).ConfigureAwait(false)),
            [nameof(LivePageShell.Title)] = page.Title,
            [nameof(LivePageShell.Address)] = page.Address,
            [nameof(LivePageShell.Home)] = page.Home,
            [nameof(LivePageShell.PatienceMilliseconds)] = page.PatienceMilliseconds,
            [nameof(LivePageShell.Query)] = look.QueryOf(picture),
            [nameof(LivePageShell.Window)] = look.WindowOf(picture),
            [nameof(LivePageShell.HasSession)] = viewer.Token is not null,
            [nameof(LivePageShell.Done)] = OperatorActions.DoneOf(context.Request.Query),
        });
    }

    public async Task<IResult> SignInAsync(HttpContext context)
    {
        SetHeaders(context);
        if (!ViewerGate.IsFromOwnPage(context.Request) || !context.Request.HasFormContentType)
        {
            return AskForToken("That did not come from this page. Please give the token here.", StatusCodes.Status400BadRequest);
        }

        if (!limiter.TryAttempt(context.Connection.RemoteIpAddress))
        {
            context.Response.Headers.RetryAfter = "60";
            return AskForToken("There were too many attempts. Please wait a minute.", StatusCodes.Status429TooManyRequests);
        }

        var form = await context.Request.ReadFormAsync(context.RequestAborted).ConfigureAwait(false);
        var token = form["token"].ToString().Trim();
        if (token.Length is 0 or > TokenCheck.MaxTokenCharacters || token.Any(character => character is < '!' or > '~'))
        {
            return AskForToken(
                $"A token is 1 to {TokenCheck.MaxTokenCharacters} characters without spaces.", StatusCodes.Status400BadRequest);
        }

        var verdict = await check.AskAsync(token, context.RequestAborted).ConfigureAwait(false);
        if (verdict != TokenVerdict.Good)
        {
            return AskForToken(Explain(verdict), StatusCodes.Status401Unauthorized);
        }

        context.Response.Cookies.Append(Sessions.CookieName, sessions.Begin(token), new CookieOptions
        {
            HttpOnly = true,
            SameSite = SameSiteMode.Strict,
            Secure = context.Request.IsHttps,
            Path = DashboardExtensions.BasePath,
            IsEssential = true,
        });
        return TypedResults.Redirect(DashboardExtensions.BasePath);
    }

    public IResult SignOut(HttpContext context)
    {
        if (ViewerGate.IsFromOwnPage(context.Request))
        {
            sessions.End(context.Request.Cookies[Sessions.CookieName]);
            context.Response.Cookies.Delete(Sessions.CookieName, new CookieOptions { Path = DashboardExtensions.BasePath });
        }

        return TypedResults.Redirect(DashboardExtensions.BasePath);
    }

    private async Task<Picture> FirstPictureAsync(ILook look, CancellationToken cancellationToken)
    {
        try
        {
            return await look.NewerThanAsync(0, cancellationToken).WaitAsync(FirstPicturePatience, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return look.Current;
        }
    }

    private static string Explain(TokenVerdict verdict) => verdict switch
    {
        TokenVerdict.Unknown => "The node does not know this token.",
        TokenVerdict.LacksRights => "The node knows this token, but it may not see the node's figures. It needs the right “admin”.",
        TokenVerdict.NotChecked => "This node has no credentials, so it is shown on its own machine only, as localhost. Give it a token file, or start it with --insecure.",
        TokenVerdict.NoAnswer => "The node does not answer, so the token could not be checked. Please try again.",
        _ => throw new ArgumentOutOfRangeException(nameof(verdict), verdict, null),
    };

    internal static RazorComponentResult<SignInPage> AskForToken(string? words, int status) =>
        Page<SignInPage>(status, new() { [nameof(SignInPage.Words)] = words });

    internal static RazorComponentResult<T> Page<T>(int status, Dictionary<string, object?> parameters)
        where T : IComponent =>
        new RazorComponentResult<T>(parameters) { StatusCode = status };

    internal static void SetHeaders(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.CacheControl = "no-store";
        headers.XContentTypeOptions = "nosniff";

        // Not "no-referrer": browsers then send forms with the origin "null".
        headers["Referrer-Policy"] = "same-origin";

        // Components set widths in style attributes; scripts and connections are this server's own only.
        headers.ContentSecurityPolicy =
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self'; connect-src 'self'; " +
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    }
}
