using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvMesh.Worker.Mesh;
using KvMesh.Worker.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace KvMesh.Worker.Roles;

/// <summary>
/// The door of a prefill worker: a prompt in, a line with the grant out at once, and a line when everything was published. Whoever closes the connection
/// ends the computation; whoever sees it closed knows that nothing more comes.
/// </summary>
internal sealed class PrefillEndpoint(
    GenerationEngine engine, MeshPublisher publisher, BlockParts parts, WorkerOptions options, string model, string revision, MeshCounters counters)
{
    public const string Route = "/v1/prefill";

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost(Route, AnswerAsync);

    private async Task AnswerAsync(HttpContext context)
    {
        if (!context.Request.HasJsonContentType())
        {
            // A page in a browser may post text to any address without asking.
            await RefuseAsync(context, StatusCodes.Status415UnsupportedMediaType, "Content-Type must be application/json.");
            return;
        }

        PrefillRequest? request;
        try
        {
            request = await JsonSerializer.DeserializeAsync(context.Request.Body, PrefillJson.Default.PrefillRequest, context.RequestAborted);
        }
        catch (JsonException error)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, $"the body is no prefill request: {error.Message}");
            return;
        }

        if (Mismatch(request) is { } mismatch)
        {
            await RefuseAsync(context, StatusCodes.Status409Conflict, mismatch);
            return;
        }

        if (!publisher.IsReady)
        {
            await RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, "this worker has not reached its node, so that nobody could follow.");
            return;
        }

        try
        {
            await PrefillAsync(context, request!.Tokens);
        }
        catch (ArgumentException error) when (!context.Response.HasStarted)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, error.Message);
        }
        catch (GenerationOverloadException error)
        {
            await RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, error.Message);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody wants it any more.
        }
    }

    /// <summary>Why the blocks of this worker are not those that are asked for; null: they are.</summary>
    private string? Mismatch(PrefillRequest? request)
    {
        (string Name, string Wanted, string Own)[] fields =
        [
            ("layoutHash", request?.LayoutHash ?? "", Convert.ToHexStringLower(parts.LayoutHash)),
            ("model", request?.Model ?? "", model),
            ("revision", request?.Revision ?? "", revision),
            ("parts", $"{request?.Parts}", $"{parts.Count}"),
        ];
        return fields.Where(field => field.Wanted != field.Own).Select(field => $"{field.Name} is '{field.Wanted}'; this worker has '{field.Own}'.").FirstOrDefault()
            ?? (request!.Tokens is null ? "tokens are missing." : null);
    }

    private async Task PrefillAsync(HttpContext context, int[] tokens)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var dropped = counters.Figures.DroppedBlocks;
        var computing = engine.PrefillAsync(tokens, leaving.Token);
        if (computing.IsFaulted)
        {
            await computing;
        }

        try
        {
            var chain = new TokenChain(tokens, tokens.Length, options.BlockTokens);
            var blocks = (tokens.Length - 1) / options.BlockTokens;
            var group = Math.Max(options.MaxPassTokens / options.BlockTokens, 1);
            context.Response.ContentType = "application/x-ndjson";
            await WriteAsync(context, new PrefillGrant(options.Node!, blocks == 0 ? "" : chain.Hash(blocks - 1).ToString(), blocks, group), PrefillJson.Default.PrefillGrant);
            await computing;
            await publisher.FlushAsync(leaving.Token);
            await WriteAsync(context, new PrefillEnd(counters.Figures.DroppedBlocks == dropped), PrefillJson.Default.PrefillEnd);
        }
        finally
        {
            await leaving.CancelAsync();
            await computing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task WriteAsync<T>(HttpContext context, T line, JsonTypeInfo<T> type)
    {
        await context.Response.WriteAsync(JsonSerializer.Serialize(line, type) + "\n", context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    private static Task RefuseAsync(HttpContext context, int status, string text)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsync(text + "\n", context.RequestAborted);
    }
}
