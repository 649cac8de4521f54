using System.Net.Mime;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Http.History;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Gateway.Http;

/// <summary>The stream of one update a second. All streams send the same bytes, each at a moment of its own.</summary>
internal sealed class LiveEndpoint(NodeView node, NodeHistory history, CancellationToken stopping)
{
    /// <summary>
    /// Time between the sends of two streams: all at once they would be a burst, with what their readers do then, that gets wait behind.
    /// </summary>
    private static readonly TimeSpan Spacing = TimeSpan.FromSeconds(1) / (HttpDoorOptions.MaxLiveStreams * 2);

    private readonly LiveFrames _frames = new(node);
    private int _streams;
    private int _opened;

    public void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet(AdminRoutes.Live, StreamAsync)
            .Describe("getLive", "Server-sent events \"update\", one a second: the node and its last second.", AccessRights.Admin)
            .Produces<LiveUpdate>(StatusCodes.Status200OK, MediaTypeNames.Text.EventStream)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);

    private async Task StreamAsync(HttpContext context, CancellationToken cancellationToken)
    {
        try
        {
            if (Interlocked.Increment(ref _streams) > HttpDoorOptions.MaxLiveStreams)
            {
                await Problems.Plain(
                    StatusCodes.Status503ServiceUnavailable, "Too many live streams", $"{HttpDoorOptions.MaxLiveStreams} live streams are open; close one first.")
                    .ExecuteAsync(context).ConfigureAwait(false);
                return;
            }

            // A stream has no end of its own: a node that stops must not wait for its viewers.
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stopping);
            await SendUpdatesAsync(context, ending.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested || stopping.IsCancellationRequested)
        {
            // The viewer went, or the node stops.
        }
        finally
        {
            Interlocked.Decrement(ref _streams);
        }
    }

    private async Task SendUpdatesAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var response = context.Response;
        response.ContentType = MediaTypeNames.Text.EventStream;
        response.Headers.CacheControl = "no-cache,no-store";
        response.Headers.ContentEncoding = "identity";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();

        var delay = Spacing * (Interlocked.Increment(ref _opened) % HttpDoorOptions.MaxLiveStreams);
        var sample = history.Latest(1) is [var latest] ? latest : null;
        while (true)
        {
            await response.Body.WriteAsync(_frames.FrameOf(sample), cancellationToken).ConfigureAwait(false);
            await response.Body.FlushAsync(cancellationToken).ConfigureAwait(false);
            sample = await history.NextAsync(cancellationToken).ConfigureAwait(false);
            await Task.Delay(delay, node.Time, cancellationToken).ConfigureAwait(false);
        }
    }
}
