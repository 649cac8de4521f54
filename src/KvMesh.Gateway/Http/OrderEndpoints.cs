using System.ComponentModel;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Gateway.Http;

/// <summary>
/// Orders of placement, and nodes that are emptied before they leave. Orders name prefixes of every tenant, so that all of it needs the right
/// admin. Any node answers for the one that plans; while none does the answer is 503 and a sentence.
/// </summary>
internal sealed class OrderEndpoints(NodeView node)
{
    private const int MaxOrders = 1000;
    private const int MaxAudits = 1000;
    private const int DefaultCount = 100;

    public static void Map(IEndpointRouteBuilder routes, NodeView node)
    {
        var endpoints = new OrderEndpoints(node);
        endpoints.MapOrders(routes);
        endpoints.MapDrain(routes);
    }

    private void MapOrders(IEndpointRouteBuilder routes)
    {
        routes.MapGet(
                AdminRoutes.Orders,
                ([Description("Orders to show, 1 to 1000; 100 when absent.")] string? count, CancellationToken cancellationToken) => ListAsync(count, cancellationToken))
            .DescribePlacement("getOrders", "Orders that are open, those that ended lately, and what the last plan left for later.")
            .Produces<OrderList>();

        routes.MapPost(AdminRoutes.Orders + "/plan", (CancellationToken cancellationToken) => AskAsync(
                async desk => TypedResults.Ok(await desk.PlanAsync(cancellationToken).ConfigureAwait(false))))
            .DescribePlacement("planOrders", "What would be ordered now. Nothing is ordered.")
            .Produces<PlanPreview>();

        routes.MapDelete(
                AdminRoutes.Orders + "/{id}", (HttpContext context, string id, CancellationToken cancellationToken) => CancelAsync(context, id, cancellationToken))
            .DescribePlacement("cancelOrder", "Ends an open order.")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);

        MapPause(routes, "pause", isPaused: true, "From now on plans are made and shown, and nothing is ordered. Orders that were given go on.");
        MapPause(routes, "resume", isPaused: false, "Plans are ordered again.");

        routes.MapGet(
                AdminRoutes.Orders + "/audit",
                ([Description("Actions to show, 1 to 1000; 100 when absent.")] string? count, CancellationToken cancellationToken) => AuditAsync(count, cancellationToken))
            .DescribePlacement("getAudit", "What operators did to orders and nodes, the latest first.")
            .Produces<IReadOnlyList<AuditEntry>>();
    }

    private void MapPause(IEndpointRouteBuilder routes, string verb, bool isPaused, string summary) =>
        routes.MapPost($"{AdminRoutes.Orders}/{verb}", (HttpContext context, CancellationToken cancellationToken) => AskAsync(async desk =>
            {
                await desk.SetPausedAsync(isPaused, ActorOf(context), cancellationToken).ConfigureAwait(false);
                return TypedResults.NoContent();
            }))
            .DescribePlacement($"{verb}Orders", summary)
            .Produces(StatusCodes.Status204NoContent);

    private void MapDrain(IEndpointRouteBuilder routes)
    {
        const string Path = AdminRoutes.Nodes + "/{id}/drain";
        routes.MapPost(Path, (HttpContext context, string id, CancellationToken cancellationToken) =>
                DrainAsync(id, (desk, target) => desk.BeginDrainAsync(target, ActorOf(context), cancellationToken)))
            .DescribeDrain("drainNode", "Takes a node out of placement and has its blocks brought to others. It goes on serving.");
        routes.MapDelete(Path, (HttpContext context, string id, CancellationToken cancellationToken) =>
                DrainAsync(id, (desk, target) => desk.EndDrainAsync(target, ActorOf(context), cancellationToken)))
            .DescribeDrain("undrainNode", "Takes a drain back: the node takes blocks again.");
        routes.MapGet(Path, (string id, CancellationToken cancellationToken) =>
                DrainAsync(id, (desk, target) => desk.DrainProgressAsync(target, cancellationToken)))
            .DescribeDrain("getDrain", "How far a node is with handing its blocks to others.");
    }

    private async Task<IResult> ListAsync(string? countText, CancellationToken cancellationToken)
    {
        if (!RequestFields.TryNumber("count", countText, 1, MaxOrders, DefaultCount, out var count, out var refusal))
        {
            return refusal;
        }

        return await AskAsync(async desk =>
        {
            var list = await desk.ListAsync(cancellationToken).ConfigureAwait(false);
            return TypedResults.Ok(list with { Orders = [.. list.Orders.Take((int)count)] });
        }).ConfigureAwait(false);
    }

    private async Task<IResult> AuditAsync(string? countText, CancellationToken cancellationToken)
    {
        if (!RequestFields.TryNumber("count", countText, 1, MaxAudits, DefaultCount, out var count, out var refusal))
        {
            return refusal;
        }

        return await AskAsync(async desk =>
        {
            IReadOnlyList<AuditEntry> entries = [.. (await desk.AuditAsync(cancellationToken).ConfigureAwait(false)).Take((int)count)];
            return TypedResults.Ok(entries);
        }).ConfigureAwait(false);
    }

    private async Task<IResult> CancelAsync(HttpContext context, string idText, CancellationToken cancellationToken)
    {
        if (!RequestFields.TryNumber("id", idText, 1, long.MaxValue, 0, out var id, out var refusal))
        {
            return refusal;
        }

        return await AskAsync(async desk => await desk.CancelAsync(id, ActorOf(context), cancellationToken).ConfigureAwait(false)
            ? TypedResults.NoContent()
            : Problems.Field("id", idText, "no order of this id is open", StatusCodes.Status404NotFound)).ConfigureAwait(false);
    }

    private async Task<IResult> DrainAsync(string idText, Func<IPlacementDesk, NodeId, ValueTask<DrainStatus?>> step)
    {
        if (!NodeId.TryParse(idText, out var id, out var error))
        {
            return Problems.Field("id", idText, error);
        }

        return await AskAsync(async desk => await step(desk, id).ConfigureAwait(false) is { } status
            ? TypedResults.Ok(status)
            : Problems.Field("id", idText, "no member of the cluster has this id", StatusCodes.Status404NotFound)).ConfigureAwait(false);
    }

    private async Task<IResult> AskAsync(Func<IPlacementDesk, Task<IResult>> question)
    {
        if (node.Desk is not { } desk)
        {
            return Unavailable("This node takes no part in placement.");
        }

        try
        {
            return await question(desk).ConfigureAwait(false);
        }
        catch (PlacementUnavailableException exception)
        {
            return Unavailable(exception.Message);
        }
    }

    private static ProblemHttpResult Unavailable(string why) => Problems.Plain(StatusCodes.Status503ServiceUnavailable, "Nobody answers for placement", why);

    /// <summary>Who acts, for the audit: the name of the credential, or the address where there was none.</summary>
    internal static string ActorOf(HttpContext context) =>
        context.Caller().Name is { Length: > 0 } name ? name : context.Connection.RemoteIpAddress?.ToString() ?? "local";
}

/// <summary>What all routes of placement have in the OpenAPI document.</summary>
internal static class OrderEndpointExtensions
{
    public static RouteHandlerBuilder DescribePlacement(this RouteHandlerBuilder builder, string name, string summary) => builder
        .Describe(name, summary, AccessRights.Admin)
        .ProducesProblem(StatusCodes.Status503ServiceUnavailable);

    public static RouteHandlerBuilder DescribeDrain(this RouteHandlerBuilder builder, string name, string summary) => builder
        .DescribePlacement(name, summary)
        .Produces<DrainStatus>()
        .ProducesProblem(StatusCodes.Status404NotFound);
}
