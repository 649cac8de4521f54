using System.ComponentModel;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Http.History;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Gateway.Http;

/// <summary>The figures of a node.</summary>
internal static class AdminEndpoints
{
    public static void Map(IEndpointRouteBuilder routes, NodeView node, NodeHistory history, PrefixSampler prefixes)
    {
        routes.MapGet(AdminRoutes.Status, () => TypedResults.Ok(StatusViews.Status(node)))
            .Describe("getStatus", "The node at this moment.", AccessRights.Admin);

        routes.MapGet(AdminRoutes.Tiers, () => TypedResults.Ok(StatusViews.Tiers(node.Engine.Snapshot())))
            .Describe("getTiers", "Occupancy of each tier and what was found in it.", AccessRights.Admin);

        AdviceEndpoint.Map(routes, node);

        routes.MapGet(AdminRoutes.Tenants, (HttpContext context) => TypedResults.Ok(Tenants(node, context.Caller())))
            .Describe("getTenants", "The tenants of the node; without the right admin only the caller's own.", AccessRights.Read);

        routes.MapGet(AdminRoutes.Configuration, () => TypedResults.Ok(node.Configuration))
            .Describe("getConfiguration", "Options in force, secrets masked.", AccessRights.Admin);

        routes.MapGet(AdminRoutes.Connections, () => TypedResults.Ok(node.Connections()))
            .Describe("getConnections", "Open connections of the data plane.", AccessRights.Admin);

        routes.MapDelete(AdminRoutes.Connections + "/{id}", (string id) => CloseConnection(node, id))
            .Describe("closeConnection", "Ends a connection of the data plane.", AccessRights.Admin)
            .ProducesProblem(StatusCodes.Status404NotFound);

        routes.MapGet(AdminRoutes.History, ([Description("Last seconds to show, 1 to 600.")] string? seconds) => History(history, seconds))
            .Describe("getHistory", "One sample a second of the last ten minutes, oldest first.", AccessRights.Admin);

        routes.MapGet(
                AdminRoutes.Prefixes,
                (HttpContext context, [Description("Groups to show, 1 to 1000; 20 when absent.")] string? count) => Prefixes(prefixes, context.Caller(), count))
            .Describe("getPrefixes", "Groups of blocks that are used together, most hits first.", AccessRights.Read);
    }

    /// <summary>Names an endpoint for the OpenAPI document and says what it needs.</summary>
    public static RouteHandlerBuilder Describe(this RouteHandlerBuilder builder, string name, string summary, AccessRights rights) => builder
        .WithName(name)
        .WithSummary(summary)
        .WithTags("node")
        .Requires(rights)
        .ProducesProblem(StatusCodes.Status400BadRequest)
        .ProducesProblem(StatusCodes.Status401Unauthorized)
        .ProducesProblem(StatusCodes.Status403Forbidden)
        .ProducesProblem(StatusCodes.Status429TooManyRequests);

    private static IReadOnlyList<TenantStatus> Tenants(NodeView node, Caller caller) =>
    [
        .. node.Engine.Snapshot().Tenants
            .Where(tenant => caller.May(AccessRights.Admin) || tenant.Name == caller.Tenant.Name)
            .Select(StatusViews.View),
    ];

    private static Results<NoContent, ProblemHttpResult> CloseConnection(NodeView node, string id)
    {
        if (!RequestFields.TryNumber("id", id, 1, long.MaxValue, 0, out var number, out var refusal))
        {
            return refusal;
        }

        return node.CloseConnection(number)
            ? TypedResults.NoContent()
            : Problems.Field("id", id, "no open connection has this id", StatusCodes.Status404NotFound);
    }

    private static Results<Ok<HistoryStatus>, ProblemHttpResult> History(NodeHistory history, string? seconds) =>
        RequestFields.TryNumber("seconds", seconds, 1, NodeHistory.Seconds, NodeHistory.Seconds, out var number, out var refusal)
            ? TypedResults.Ok(new HistoryStatus(1, history.Latest((int)number)))
            : refusal;

    private static Results<Ok<PrefixList>, ProblemHttpResult> Prefixes(PrefixSampler prefixes, Caller caller, string? count)
    {
        if (!RequestFields.TryNumber("count", count, 1, PrefixSampler.MaxGroups, 20, out var number, out var refusal))
        {
            return refusal;
        }

        return TypedResults.Ok(prefixes.Top((int)number, caller.May(AccessRights.Admin) ? null : caller.Tenant));
    }
}
