using System.Net.WebSockets;
using KvMesh.Dashboard.Access;
using KvMesh.Dashboard.Feed;
using KvMesh.Dashboard.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;

namespace KvMesh.Dashboard.Views;

/// <summary>
/// Keeps one open page up to date: a frame of HTML over a web socket with each new picture. A slow page skips pictures and never
/// queues them. The page sends nothing.
/// </summary>
internal sealed class ViewSocket(ViewerGate gate, ViewSlots slots, TimeProvider time, IHostApplicationLifetime lifetime)
{
    /// <summary>Told to the page by the code of the closing frame; the script knows the same numbers.</summary>
    public const WebSocketCloseStatus SignInAgain = (WebSocketCloseStatus)4401;
    public const WebSocketCloseStatus AllViewsTaken = (WebSocketCloseStatus)4429;

    /// <summary>A page that takes no frame for so long has gone without saying so.</summary>
    private static readonly TimeSpan SendPatience = TimeSpan.FromSeconds(10);

    public async Task RunAsync(HttpContext context, LivePage page)
    {
        if (!context.WebSockets.IsWebSocketRequest || !ViewerGate.IsFromOwnPage(context.Request))
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        var viewer = gate.Look(context);
        using var slot = slots.TryEnter();
        using var socket = await context.WebSockets.AcceptWebSocketAsync().ConfigureAwait(false);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        try
        {
            if (slot is null)
            {
                await CloseAsync(socket, AllViewsTaken, "All views are taken.", ending.Token).ConfigureAwait(false);
            }
            else if (!viewer.IsAdmitted)
            {
                await CloseAsync(socket, SignInAgain, "A token is needed.", ending.Token).ConfigureAwait(false);
            }
            else
            {
                await ShowAsync(context, socket, page, viewer, ending).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or WebSocketException or IOException)
        {
            // The page went away, or this process stops: nobody is left to tell.
        }
    }

    private async Task ShowAsync(HttpContext context, WebSocket socket, LivePage page, Viewer viewer, CancellationTokenSource ending)
    {
        using var look = page.Look(context.Request.Query, viewer);
        var gone = WaitUntilGoneAsync(socket, ending);
        try
        {
            await SendFramesAsync(context, socket, look, ending.Token).ConfigureAwait(false);
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);
            await gone.ConfigureAwait(false);
        }
    }

    private async Task SendFramesAsync(HttpContext context, WebSocket socket, ILook look, CancellationToken cancellationToken)
    {
        var seen = 0L;
        while (true)
        {
            var picture = await look.NewerThanAsync(seen, cancellationToken).ConfigureAwait(false);
            seen = picture.Version;
            if (picture.State is FeedState.NeedsToken or FeedState.LacksRights || !gate.Look(context).IsAdmitted)
            {
                await CloseAsync(socket, SignInAgain, "A token is needed.", cancellationToken).ConfigureAwait(false);
                return;
            }

            var frame = await look.RenderAsync(picture).ConfigureAwait(false);
            using var patience = new CancellationTokenSource(SendPatience, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
            await socket.SendAsync(frame, WebSocketMessageType.Text, endOfMessage: true, either.Token).ConfigureAwait(false);
        }
    }

    /// <summary>A page says nothing but goodbye; anything else ends it too.</summary>
    private static async Task WaitUntilGoneAsync(WebSocket socket, CancellationTokenSource ending)
    {
        try
        {
            await socket.ReceiveAsync(new byte[16], ending.Token).ConfigureAwait(false);
            await ending.CancelAsync().ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or WebSocketException or IOException)
        {
            await ending.CancelAsync().ConfigureAwait(false);
        }
    }

    private static Task CloseAsync(WebSocket socket, WebSocketCloseStatus status, string reason, CancellationToken cancellationToken) =>
        socket.CloseOutputAsync(status, reason, cancellationToken);
}
