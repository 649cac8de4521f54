using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Http.History;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Gateway.Http;

/// <summary>The stream of one update a second.</summary>
internal sealed class LiveEndpoint(NodeView node, NodeHistory history, CancellationToken stopping)
{
    private int _streams;

    public void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet(AdminRoutes.Live, Stream)
            .Describe("getLive", "Server-sent events \"update\", one a second: the node and its last second.", AccessRights.Admin)
            .Produces<LiveUpdate>(StatusCodes.Status200OK, "text/event-stream")
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);

    private IResult Stream(HttpContext context, CancellationToken cancellationToken)
    {
        context.Response.RegisterForDispose(new Slot(this));
        if (Volatile.Read(ref _streams) > HttpDoorOptions.MaxLiveStreams)
        {
            return Problems.Plain(
                StatusCodes.Status503ServiceUnavailable, "Too many live streams", $"{HttpDoorOptions.MaxLiveStreams} live streams are open; close one first.");
        }

        // A stream has no end of its own: a node that stops must not wait for its viewers.
        var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stopping);
        context.Response.RegisterForDispose(ending);
        return TypedResults.ServerSentEvents(UpdatesAsync(ending.Token));
    }

    private async IAsyncEnumerable<SseItem<LiveUpdate>> UpdatesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var sample = history.Latest(1) is [var latest] ? latest : null;
        while (true)
        {
            yield return new SseItem<LiveUpdate>(new LiveUpdate(StatusViews.Status(node), sample), "update");
            sample = await history.NextAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>One stream among those that are open, until its request ends in whatever way.</summary>
    private sealed class Slot : IDisposable
    {
        private readonly LiveEndpoint _owner;

        public Slot(LiveEndpoint owner)
        {
            _owner = owner;
            Interlocked.Increment(ref owner._streams);
        }

        public void Dispose() => Interlocked.Decrement(ref _owner._streams);
    }
}
