using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvMesh.Cluster.Sequences;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Admin;
using KvMesh.Protocol.Sequences;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Gateway.Http;

/// <summary>Sequences over HTTP. A caller without the right admin reaches only its own tenant's.</summary>
internal sealed class SequenceEndpoints(NodeView node, ISequenceHost host)
{
    private const string TenantHelp = "Owner of the sequences; the caller's own tenant when absent.";

    /// <summary>Each may cost questions to directories and to Redis.</summary>
    private const int MaxPlacedRows = 128;

    public static void Map(IEndpointRouteBuilder routes, NodeView node)
    {
        if (node.Sequences is not { } host)
        {
            return;
        }

        var endpoints = new SequenceEndpoints(node, host);
        endpoints.MapReads(routes);
        endpoints.MapCommands(routes);
    }

    private void MapReads(IEndpointRouteBuilder routes)
    {
        routes.MapGet(
                AdminRoutes.Sequences,
                (HttpContext context,
                    [Description(TenantHelp)] string? tenant,
                    [Description("List the names behind this one; the first when absent.")] string? after,
                    [Description("Sequences of the page, 1 to 256; 100 when absent.")] string? count,
                    CancellationToken cancellationToken) => ListAsync(context, tenant, after, count, cancellationToken))
            .DescribeSequence("listSequences", "A page of a tenant's sequences, in order of names.", AccessRights.Read)
            .Produces<SequenceList>();

        routes.MapGet(
                AdminRoutes.Sequences + "/{name}",
                (HttpContext context, string name, [Description(TenantHelp)] string? tenant, CancellationToken cancellationToken) =>
                    FindAsync(context, tenant, name, cancellationToken))
            .DescribeSequence("getSequence", "One sequence, without touching it.", AccessRights.Read)
            .Produces<SequenceStatus>();

        routes.MapGet(
                AdminRoutes.Sequences + "/{name}/segments",
                (HttpContext context,
                    string name,
                    [Description(TenantHelp)] string? tenant,
                    [Description("Index of the first segment; 0 when absent.")] string? first,
                    [Description("Segments of the page, 1 to 1024, or 128 with places; 100 when absent.")] string? count,
                    [Description("true: say of each segment which nodes hold it; needs the right admin.")] string? places,
                    CancellationToken cancellationToken) => SegmentsAsync(context, tenant, name, first, count, places, cancellationToken))
            .DescribeSequence("getSegments", "A page of a sequence's segments.", AccessRights.Read)
            .Produces<SegmentList>();
    }

    private void MapCommands(IEndpointRouteBuilder routes)
    {
        routes.MapPost(
                AdminRoutes.Sequences,
                (HttpContext context, [Description(TenantHelp)] string? tenant, CancellationToken cancellationToken) =>
                    RunAsync(context, tenant, null, AdminJson.Default.SequenceOpenRequest, SequenceBodies.Open, cancellationToken))
            .DescribeSequence("openSequence", "Creates a sequence, or takes the one that exists with the same parameters.", AccessRights.Write)
            .Accepts<SequenceOpenRequest>("application/json")
            .Produces<SequenceStatus>();

        MapCommand(routes, "append", AdminJson.Default.SequenceAppendRequest, SequenceBodies.Append, "Adds a run of blocks behind the last one.");
        MapCommand(routes, "fork", AdminJson.Default.SequenceForkRequest, SequenceBodies.Fork, "Opens another sequence with the first blocks of this one.");
        MapCommand(routes, "pin", AdminJson.Default.SequencePinRequest, body => SequenceBodies.Pin(body, node.Time), "Asks for copies of its blocks.");
        MapCommand(routes, "park", AdminJson.Default.SequenceParkRequest, body => SequenceBodies.Park(body, node.Time), "Rests it between turns.");
        MapCommand(routes, "resume", AdminJson.Default.SequenceResumeRequest, SequenceBodies.Resume, "Takes it, parked or not.");

        routes.MapDelete(
                AdminRoutes.Sequences + "/{name}",
                (HttpContext context,
                    string name,
                    [Description(TenantHelp)] string? tenant,
                    [Description("The owner's epoch; absent: an operator's close.")] string? epoch,
                    CancellationToken cancellationToken) => CloseAsync(context, tenant, name, epoch, cancellationToken))
            .DescribeSequence("closeSequence", "Ends a sequence. Its blocks live on as any others.", AccessRights.Write)
            .Produces<SequenceStatus>();
    }

    private void MapCommand<TBody>(IEndpointRouteBuilder routes, string verb, JsonTypeInfo<TBody> type, Func<TBody, SequenceBody> read, string summary)
        where TBody : class =>
        routes.MapPost(
                $"{AdminRoutes.Sequences}/{{name}}/{verb}",
                (HttpContext context, string name, [Description(TenantHelp)] string? tenant, CancellationToken cancellationToken) =>
                    RunAsync(context, tenant, name, type, read, cancellationToken))
            .DescribeSequence($"{verb}Sequence", summary, AccessRights.Write)
            .Accepts<TBody>("application/json")
            .Produces<SequenceStatus>();

    private async Task<IResult> RunAsync<TBody>(
        HttpContext context, string? tenantName, string? name, JsonTypeInfo<TBody> type, Func<TBody, SequenceBody> read, CancellationToken cancellationToken)
        where TBody : class
    {
        if (!RequestFields.TryTenant(node, context.Caller(), tenantName, out var tenant, out var refusal))
        {
            return refusal;
        }

        TBody? body;
        try
        {
            body = await JsonSerializer.DeserializeAsync(context.Request.Body, type, cancellationToken).ConfigureAwait(false);
        }
        catch (JsonException exception)
        {
            return Problems.Field(exception.Path ?? "body", exception.Message, "see /openapi/v1.json for its fields");
        }
        catch (BadHttpRequestException exception)
        {
            return Problems.Field("body", exception.Message, $"the limit is {HttpDoorOptions.MaxBodyBytes} bytes", exception.StatusCode);
        }

        if (body is null)
        {
            return Problems.Field("body", "null", "it must be an object");
        }

        var parsed = read(body);
        if (parsed.Refusal is not null)
        {
            return parsed.Refusal;
        }

        var id = new SequenceId(tenant.Name, name ?? parsed.Name ?? "");
        return Show(id, await host.ExecuteAsync(id, parsed.Command!, cancellationToken).ConfigureAwait(false));
    }

    private async Task<IResult> CloseAsync(HttpContext context, string? tenantName, string name, string? epochText, CancellationToken cancellationToken)
    {
        if (!RequestFields.TryTenant(node, context.Caller(), tenantName, out var tenant, out var refusal)
            || !RequestFields.TryNumber("epoch", epochText, 0, long.MaxValue, 0, out var epoch, out refusal))
        {
            return refusal;
        }

        var id = new SequenceId(tenant.Name, name);
        return Show(id, await host.ExecuteAsync(id, new CloseSequence { Epoch = epoch }, cancellationToken).ConfigureAwait(false));
    }

    private async Task<IResult> FindAsync(HttpContext context, string? tenantName, string name, CancellationToken cancellationToken)
    {
        if (!RequestFields.TryTenant(node, context.Caller(), tenantName, out var tenant, out var refusal))
        {
            return refusal;
        }

        var id = new SequenceId(tenant.Name, name);
        return Show(id, await host.FindAsync(id, cancellationToken).ConfigureAwait(false));
    }

    private async Task<IResult> ListAsync(HttpContext context, string? tenantName, string? after, string? countText, CancellationToken cancellationToken)
    {
        if (!RequestFields.TryTenant(node, context.Caller(), tenantName, out var tenant, out var refusal)
            || !RequestFields.TryNumber("count", countText, 1, SequenceLimits.MaxPageSequences, 100, out var count, out refusal))
        {
            return refusal;
        }

        var page = await host.ListAsync(tenant.Name, after ?? "", (int)count, cancellationToken).ConfigureAwait(false);
        return page.Refusal != SequenceRefusal.None
            ? SequenceViews.Problem(after ?? "", page.Refusal, page.Text)
            : TypedResults.Ok(new SequenceList([.. page.Sequences.Select(info => SequenceViews.View(tenant.Name, info))], page.Next.Length == 0 ? null : page.Next));
    }

    private async Task<IResult> SegmentsAsync(
        HttpContext context, string? tenantName, string name, string? firstText, string? countText, string? placesText, CancellationToken cancellationToken)
    {
        if (!RequestFields.TryFlag("places", placesText, out var withPlaces, out var refusal)
            || !RequestFields.TryTenant(node, context.Caller(), tenantName, out var tenant, out refusal)
            || !RequestFields.TryNumber("first", firstText, 0, SequenceLimits.MaxSegments, 0, out var first, out refusal)
            || !RequestFields.TryNumber("count", countText, 1, withPlaces ? MaxPlacedRows : SequenceLimits.MaxPageRows, 100, out var count, out refusal))
        {
            return refusal;
        }

        if (withPlaces && !context.Caller().May(AccessRights.Admin))
        {
            return Problems.Field("places", placesText, "which nodes hold what needs the right Admin", StatusCodes.Status403Forbidden);
        }

        var id = new SequenceId(tenant.Name, name);
        var rows = await host.ReadRowsAsync(id, (int)first, (int)count, cancellationToken).ConfigureAwait(false);
        if (rows.Refusal != SequenceRefusal.None)
        {
            return SequenceViews.Problem(name, rows.Refusal, rows.Text);
        }

        var segments = SequenceViews.View(rows.First, rows.Rows.Span);
        if (withPlaces)
        {
            var reply = await host.FindAsync(id, cancellationToken).ConfigureAwait(false);
            if (!reply.IsOk)
            {
                return SequenceViews.Problem(name, reply.Refusal, reply.Text);
            }

            // Directories and Redis are asked on a thread that may wait.
            var (scope, parts) = (reply.Info!.Scope, reply.Info.Parts);
            var places = await Task.Run(() => node.Places.Find(tenant, scope.Span, parts, rows.Rows.Span), cancellationToken).ConfigureAwait(false);
            segments = [.. segments.Zip(places, (segment, found) => segment with { Places = found })];
        }

        return TypedResults.Ok(new SegmentList(rows.Total, rows.First, segments));
    }

    private static IResult Show(SequenceId id, SequenceReply reply) => reply.IsOk
        ? TypedResults.Ok(SequenceViews.View(id.Tenant, reply.Info!, reply.IsRepetition))
        : SequenceViews.Problem(id.Name, reply.Refusal, reply.Text);
}
