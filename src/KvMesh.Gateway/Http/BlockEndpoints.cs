using System.Buffers.Text;
using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Integrity;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Gateway.Http;

/// <summary>Looking at blocks and removing them. A caller without the right admin sees and removes only its own tenant's.</summary>
internal static class BlockEndpoints
{
    private const string TenantHelp = "Owner of the blocks; the caller's own tenant when absent.";
    private const string KeyHelp = "Key bytes in base64url.";
    private const string TextHelp = "The key as text, instead of key.";

    public static void Map(IEndpointRouteBuilder routes, NodeView node)
    {
        routes.MapGet(
                AdminRoutes.Blocks,
                (HttpContext context,
                    [Description(TenantHelp)] string? tenant,
                    [Description(KeyHelp)] string? key,
                    [Description(TextHelp)] string? text,
                    [Description("Without a key: where the page begins, 0 or the last nextCursor.")] string? cursor,
                    [Description("Without a key: blocks to visit, 1 to 1000; 100 when absent.")] string? count) =>
                    key is null && text is null
                        ? Page(node, context.Caller(), tenant, cursor, count)
                        : Inspect(node, context.Caller(), tenant, key, text))
            .Describe("getBlocks", "One block by its key, without counting a use; or one page of a tenant's blocks.", AccessRights.Read)
            .Produces<BlockStatus>()
            .Produces<BlockPage>()
            .ProducesProblem(StatusCodes.Status404NotFound);

        routes.MapDelete(
                AdminRoutes.Blocks,
                (HttpContext context,
                    [Description(TenantHelp)] string? tenant,
                    [Description(KeyHelp)] string? key,
                    [Description(TextHelp)] string? text) => Remove(node, context.Caller(), tenant, key, text))
            .Describe("removeBlock", "Removes a block at once, also under a lease.", AccessRights.Remove);

        routes.MapPost(AdminRoutes.Purge, (HttpContext context, CancellationToken cancellationToken) => PurgeAsync(node, context, cancellationToken))
            .Describe("purge", "Removes every block of a tenant, of one model, or of one revision, in constant time, on every node of the cluster, and tells which have not done it yet.", AccessRights.Remove)
            // Routing refuses other types: a page of another origin cannot send this one without asking first.
            .Accepts<PurgeRequest>("application/json")
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType);
    }

    private static IResult Inspect(NodeView node, Caller caller, string? tenantName, string? key, string? text)
    {
        if (!RequestFields.TryTenant(node, caller, tenantName, out var tenant, out var refusal)
            || !RequestFields.TryKey(key, text, out var bytes, out refusal))
        {
            return refusal;
        }

        return node.Engine.TryInspect(tenant, bytes, out var info) || node.Engine.TryInspectHeld(tenant, bytes, out info)
            ? TypedResults.Ok(View(node, tenant, bytes, info))
            : Problems.Field(text is null ? "key" : "text", key ?? text, "there is no such block", StatusCodes.Status404NotFound);
    }

    private static IResult Page(NodeView node, Caller caller, string? tenantName, string? cursorText, string? countText)
    {
        if (!RequestFields.TryTenant(node, caller, tenantName, out var tenant, out var refusal)
            || !RequestFields.TryNumber("cursor", cursorText, 0, long.MaxValue, 0, out var cursor, out refusal)
            || !RequestFields.TryNumber("count", countText, 1, HttpDoorOptions.MaxPageBlocks, 100, out var count, out refusal))
        {
            return refusal;
        }

        var blocks = new List<BlockStatus>();
        var next = node.Engine.Scan(tenant, cursor, (int)count, (key, info) => blocks.Add(View(node, tenant, key.Span, info)));
        return TypedResults.Ok(new BlockPage(next.ToString(CultureInfo.InvariantCulture), blocks));
    }

    private static Results<Ok<RemoveResult>, ProblemHttpResult> Remove(
        NodeView node, Caller caller, string? tenantName, string? key, string? text)
    {
        if (!RequestFields.TryTenant(node, caller, tenantName, out var tenant, out var refusal)
            || !RequestFields.TryKey(key, text, out var bytes, out refusal))
        {
            return refusal;
        }

        return TypedResults.Ok(new RemoveResult(node.Engine.Remove(tenant, bytes)));
    }

    private static async Task<Results<Ok<PurgeResult>, ProblemHttpResult>> PurgeAsync(
        NodeView node, HttpContext context, CancellationToken cancellationToken)
    {
        PurgeRequest? request;
        try
        {
            request = await JsonSerializer.DeserializeAsync(context.Request.Body, AdminJson.Default.PurgeRequest, cancellationToken).ConfigureAwait(false);
        }
        catch (JsonException exception)
        {
            return Problems.Field(exception.Path ?? "body", exception.Message, "it must be an object with tenant, model and revision, each text or null");
        }

        catch (BadHttpRequestException exception)
        {
            return Problems.Field("body", exception.Message, $"the limit is {HttpDoorOptions.MaxBodyBytes} bytes", exception.StatusCode);
        }

        if (request is null)
        {
            return Problems.Field("body", "null", "it must be an object; {} stands for all blocks of the caller's tenant");
        }

        if (request.Revision is not null && request.Model is null)
        {
            return Problems.Field("revision", request.Revision, "it needs a model");
        }

        if (request.WaitSeconds is < 0 or > PurgeRequest.MaxWaitSeconds)
        {
            return Problems.Field("waitSeconds", $"{request.WaitSeconds}", $"it must be 0 to {PurgeRequest.MaxWaitSeconds}");
        }

        if (!RequestFields.TryTenant(node, context.Caller(), request.Tenant, out var tenant, out var refusal))
        {
            return refusal;
        }

        var removed = node.Engine.Purge(tenant, request.Model, request.Revision);
        return TypedResults.Ok(await ReportAsync(node, tenant, removed, request.WaitSeconds ?? PurgeRequest.DefaultWaitSeconds, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Here it is done; what is told is how far the other nodes are.</summary>
    private static async Task<PurgeResult> ReportAsync(NodeView node, Tenant tenant, long removed, double waitSeconds, CancellationToken cancellationToken)
    {
        if (node.Mesh is not { } mesh)
        {
            return new PurgeResult(tenant.Name, removed);
        }

        var report = await mesh.AwaitPurgesAsync(TimeSpan.FromSeconds(waitSeconds), cancellationToken).ConfigureAwait(false);
        return new PurgeResult(tenant.Name, removed)
        {
            Nodes = report.Nodes,
            IsTold = report.IsTold,
            Behind = [.. report.Behind.Select(id => id.Value)],
            Problem = report.Problem,
        };
    }

    private static BlockStatus View(NodeView node, Tenant tenant, ReadOnlySpan<byte> key, in BlockInfo info) => new(
        tenant.Name,
        Base64Url.EncodeToString(key),
        RequestFields.TextOf(key),
        info.PayloadBytes,
        [.. TierNames.Of(info.Tiers)],
        info.IsContent,
        info.ExpiresAt == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(info.ExpiresAt),
        info.Hits,
        info.Tiers == BlockTiers.Gpu ? "" : info.TableChecksum.ToString("x8", CultureInfo.InvariantCulture),
        info.Model,
        info.Revision)
    {
        OnDisk = info.OnDisk is { } form ? new StoredFormStatus(node.CodecName(form.Codec), form.Bytes) : null,
        Loss = View(node, info.Loss),
        LossBelow = View(node, info.LossBelow),
        LosslessOnly = info.IsLosslessOnly,
    };

    private static BlockLossStatus? View(NodeView node, Loss? loss) =>
        loss is null ? null : new BlockLossStatus(node.CodecName(loss.Codec), Measured(loss.Keys), Measured(loss.Values), Measured(loss.Outputs));

    private static double? Measured(float error) => float.IsNaN(error) ? null : error;
}
