using System.Text.Json;
using KvMesh.Worker.Model.Text;
using KvMesh.Worker.Serving;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvMesh.Worker.Front;

/// <summary><c>POST /v1/completions</c>: reads the request, generates, and tells the answer whole or as it grows.</summary>
internal sealed partial class CompletionEndpoint(FrontOptions options, IGenerator generator, Tokenizer tokenizer)
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 8 };

    private readonly ILogger _log = options.Logging.CreateLogger("KvMesh.Worker.Front");
    private readonly FrontMetrics _metrics = new(options.Meter, options.Time);
    private readonly CompletionReader _reader = new(options, tokenizer);

    public async Task AnswerAsync(HttpContext context)
    {
        var startedAt = options.Time.GetTimestamp();
        var (outcome, tokens) = ("failed", 0);
        _metrics.Begin();
        try
        {
            if (await ReadAsync(context).ConfigureAwait(false) is not { } call)
            {
                outcome = "refused";
                return;
            }

            var run = new CompletionRun(call, generator, tokenizer, options.EndTokens, _metrics, startedAt, context.RequestAborted);
            await using (run.ConfigureAwait(false))
            {
                outcome = await TellAsync(context, call, run).ConfigureAwait(false);
                tokens = run.Usage.CompletionTokens;
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            outcome = "hung_up";
        }
        finally
        {
            _metrics.End(startedAt, outcome, tokens);
        }
    }

    private async Task<CompletionCall?> ReadAsync(HttpContext context)
    {
        // A page of a browser may send other types to this machine without being asked whether it may.
        if (!context.Request.HasJsonContentType())
        {
            var type = new FieldFault("Content-Type", context.Request.ContentType, "it must be application/json");
            await FrontErrors.FieldAsync(context, type, StatusCodes.Status415UnsupportedMediaType).ConfigureAwait(false);
            return null;
        }

        try
        {
            using var body = await JsonDocument.ParseAsync(context.Request.Body, Strict, context.RequestAborted).ConfigureAwait(false);
            if (body.RootElement.ValueKind != JsonValueKind.Object)
            {
                await FrontErrors.FieldAsync(context, new FieldFault("body", $"{body.RootElement.ValueKind}", "it must be a JSON object")).ConfigureAwait(false);
                return null;
            }

            if (_reader.TryRead(body.RootElement, out var call, out var fault))
            {
                return call;
            }

            await FrontErrors.FieldAsync(context, fault).ConfigureAwait(false);
        }
        catch (JsonException exception)
        {
            await FrontErrors.FieldAsync(context, new FieldFault("body", "no JSON", $"it must be a JSON object with no name twice: {exception.Message.TrimEnd('.')}")).ConfigureAwait(false);
        }
        catch (InvalidOperationException)
        {
            await FrontErrors.FieldAsync(context, new FieldFault("body", "no text", "names of its fields must be whole UTF-16")).ConfigureAwait(false);
        }
        catch (BadHttpRequestException exception)
        {
            var size = new FieldFault("body", $"{context.Request.ContentLength?.ToString() ?? "more"} bytes", $"the limit is {options.MaxBodyBytes} bytes");
            await (exception.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? FrontErrors.FieldAsync(context, size, exception.StatusCode)
                : FrontErrors.PlainAsync(context, exception.StatusCode, exception.Message)).ConfigureAwait(false);
        }

        return null;
    }

    /// <summary>Gives the answer, or says why there is none. Until its first piece is there, nothing was sent and any status can be.</summary>
    private async Task<string> TellAsync(HttpContext context, CompletionCall call, CompletionRun run)
    {
        try
        {
            var json = new CompletionJson($"cmpl-{Guid.NewGuid():n}", options.Time.GetUtcNow().ToUnixTimeSeconds(), options.ModelName);
            await (call.IsStreamed ? StreamAsync(context, call, run, json) : WholeAsync(context, call, run, json)).ConfigureAwait(false);
            return "ok";
        }
        catch (GenerationOverloadException exception)
        {
            context.Response.Headers.RetryAfter = $"{Math.Max(1, (long)Math.Ceiling(options.RetryAfter.TotalSeconds))}";
            await FailAsync(context, StatusCodes.Status429TooManyRequests, exception.Message, "overloaded").ConfigureAwait(false);
            return "overload";
        }
        catch (ArgumentException exception)
        {
            await FailAsync(context, StatusCodes.Status400BadRequest, exception.Message, null).ConfigureAwait(false);
            return "refused";
        }
        catch (Exception exception) when (!context.RequestAborted.IsCancellationRequested)
        {
            LogFailed(exception);
            await FailAsync(context, StatusCodes.Status500InternalServerError, "The worker could not compute the answer; its log says why.", null).ConfigureAwait(false);
            return "failed";
        }
    }

    private static async Task WholeAsync(HttpContext context, CompletionCall call, CompletionRun run, CompletionJson json)
    {
        var texts = call.Prompts.Select(_ => new System.Text.StringBuilder()).ToArray();
        var choices = new AnswerPiece[texts.Length];
        await foreach (var piece in run.Pieces.ReadAllAsync(context.RequestAborted).ConfigureAwait(false))
        {
            texts[piece.Choice].Append(piece.Text);
            choices[piece.Choice] = piece with { Text = piece.FinishReason is null ? "" : texts[piece.Choice].ToString() };
        }

        context.Response.ContentType = "application/json";
        json.WriteWhole(context.Response.BodyWriter, choices, run.Usage);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }

    private static async Task StreamAsync(HttpContext context, CompletionCall call, CompletionRun run, CompletionJson json)
    {
        var output = context.Response.BodyWriter;
        while (await run.Pieces.WaitToReadAsync(context.RequestAborted).ConfigureAwait(false))
        {
            if (!context.Response.HasStarted)
            {
                context.Response.ContentType = "text/event-stream";
                context.Response.Headers.CacheControl = "no-cache";
            }

            while (run.Pieces.TryRead(out var piece))
            {
                json.WriteEvent(output, piece, call.StreamsUsage);
            }

            await output.FlushAsync(context.RequestAborted).ConfigureAwait(false);
        }

        if (call.StreamsUsage)
        {
            json.WriteUsageEvent(output, run.Usage);
        }

        await output.WriteAsync("data: [DONE]\n\n"u8.ToArray(), context.RequestAborted).ConfigureAwait(false);
    }

    private static async Task FailAsync(HttpContext context, int status, string message, string? code)
    {
        if (!context.Response.HasStarted)
        {
            await FrontErrors.PlainAsync(context, status, message, code).ConfigureAwait(false);
            return;
        }

        // A stream that ends without [DONE] did not end well; its last event says why.
        byte[] last = [.. "data: "u8, .. FrontErrors.InStream(message), .. "\n\n"u8];
        await context.Response.BodyWriter.WriteAsync(last, context.RequestAborted).ConfigureAwait(false);
    }

    [LoggerMessage(1, LogLevel.Error, "An answer could not be computed.")]
    private partial void LogFailed(Exception exception);
}
