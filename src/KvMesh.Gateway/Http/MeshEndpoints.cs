using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Gateway.Http;

/// <summary>The cluster that the node belongs to.</summary>
internal static class MeshEndpoints
{
    public static void Map(IEndpointRouteBuilder routes, NodeView node)
    {
        if (node.Mesh is not { } mesh)
        {
            return;
        }

        routes.MapGet(AdminRoutes.Nodes, () => TypedResults.Ok(mesh.Status()))
            .Describe("getNodes", "The cluster as this node sees it.", AccessRights.Admin);

        routes.MapGet(AdminRoutes.Flows, () => TypedResults.Ok(node.Flows()))
            .Describe("getFlows", "Blocks that this node pulled from others, and exchanged with Redis.", AccessRights.Admin);

        if (node.ClusterFlows is { } collect)
        {
            routes.MapGet(AdminRoutes.ClusterFlows, async (CancellationToken cancellationToken) => TypedResults.Ok(await collect(cancellationToken).ConfigureAwait(false)))
                .Describe("getClusterFlows", "Blocks that each node of the cluster pulled from others, and exchanged with Redis.", AccessRights.Admin);
        }

        routes.MapDelete(AdminRoutes.Nodes + "/{id}", (string id, HttpContext context, CancellationToken cancellationToken) => ForgetAsync(mesh, id, OrderEndpoints.ActorOf(context), cancellationToken))
            .Describe("forgetNode", "Declares a node gone, at once and however many others are silent.", AccessRights.Admin)
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> ForgetAsync(MeshView mesh, string id, string actor, CancellationToken cancellationToken)
    {
        if (!NodeId.TryParse(id, out var node, out var error))
        {
            return Problems.Field("id", id, error, StatusCodes.Status400BadRequest);
        }

        try
        {
            return await mesh.ForgetAsync(node, actor, cancellationToken).ConfigureAwait(false)
                ? TypedResults.NoContent()
                : Problems.Field("id", id, "no other member of the cluster has this id", StatusCodes.Status404NotFound);
        }
        catch (StoreSilentException exception)
        {
            return Problems.Plain(StatusCodes.Status503ServiceUnavailable, "The store of the cluster is silent", exception.Message);
        }
    }
}

/// <summary>What the HTTP door may see and do of the cluster.</summary>
/// <param name="Status">The cluster as the node sees it now.</param>
/// <param name="ForgetAsync">Declares another node gone, for an actor who comes into the audit; false when there is no such member.</param>
/// <param name="AwaitPurgesAsync">Waits until every node has carried out what was purged here, for so long at most.</param>
public sealed record MeshView(
    Func<ClusterStatus> Status,
    Func<NodeId, string, CancellationToken, Task<bool>> ForgetAsync,
    Func<TimeSpan, CancellationToken, Task<PurgeReport>> AwaitPurgesAsync);
