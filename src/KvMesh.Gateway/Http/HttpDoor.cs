using System.Threading.RateLimiting;
using KvMesh.Gateway.Http.History;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;

namespace KvMesh.Gateway.Http;

/// <summary>The HTTP door: admin API, its description, probes and metrics. The composition root owns Kestrel.</summary>
public static class HttpDoor
{
    /// <summary>Adds what the door needs.</summary>
    public static IServiceCollection AddKvMeshHttp(this IServiceCollection services, NodeView node, HttpDoorOptions options)
    {
        services.AddSingleton(node);
        services.AddSingleton(options);
        services.AddSingleton<NodeHistory>();
        services.AddHostedService(provider => provider.GetRequiredService<NodeHistory>());
        services.AddSingleton<PrefixSampler>();
        services.AddHostedService(provider => provider.GetRequiredService<PrefixSampler>());
        services.AddProblemDetails();
        services.AddOpenApi("v1", static api => api.AddDocumentTransformer(static (document, _, _) =>
        {
            document.Info.Title = "KvMesh node";
            document.Info.Version = "v1";
            document.Info.Description = "Figures of a node and operations on its blocks.";
            return Task.CompletedTask;
        }));
        services.ConfigureHttpJsonOptions(static json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, AdminJson.Default));
        services.AddRateLimiter(limiter => AddLimits(limiter, options.MaxRequestsPerSecond));
        return services;
    }

    /// <summary>Puts the gate in front of everything and maps the routes. Call it before other endpoints are mapped.</summary>
    public static void MapKvMeshHttp(this WebApplication application)
    {
        var node = application.Services.GetRequiredService<NodeView>();
        var history = application.Services.GetRequiredService<NodeHistory>();
        application.UseExceptionHandler();
        application.UseStatusCodePages(static page => Explain(page.HttpContext).ExecuteAsync(page.HttpContext));
        application.UseRateLimiter();
        application.UseMiddleware<AccessGate>();

        AdminEndpoints.Map(application, node, history, application.Services.GetRequiredService<PrefixSampler>());
        BlockEndpoints.Map(application, node);
        MeshEndpoints.Map(application, node);
        OrderEndpoints.Map(application, node);
        SequenceEndpoints.Map(application, node);
        new LiveEndpoint(node, history, application.Lifetime.ApplicationStopping).Map(application);
        ProbeEndpoints.Map(application, node);
        application.MapOpenApi(AdminRoutes.OpenApi);
    }

    /// <summary>Says what routing refused.</summary>
    private static ProblemHttpResult Explain(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => Problems.Field("path", context.Request.Path, "see /openapi/v1.json for what is here", StatusCodes.Status404NotFound),
        StatusCodes.Status405MethodNotAllowed => Problems.Field(
            "method", context.Request.Method, $"it must be {context.Response.Headers.Allow}", StatusCodes.Status405MethodNotAllowed),
        StatusCodes.Status415UnsupportedMediaType => Problems.Field(
            "Content-Type", context.Request.ContentType, "it must be application/json", StatusCodes.Status415UnsupportedMediaType),
        var status => Problems.Plain(status, ReasonPhrases.GetReasonPhrase(status), "The request was refused."),
    };

    private static void AddLimits(RateLimiterOptions limiter, int requestsPerSecond)
    {
        limiter.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
        limiter.OnRejected = async (rejected, cancellationToken) =>
        {
            rejected.HttpContext.Response.Headers.RetryAfter = "1";
            await Problems.Plain(
                StatusCodes.Status429TooManyRequests, "Too many requests", $"An address may send {requestsPerSecond} requests a second (Http:MaxRequestsPerSecond).")
                .ExecuteAsync(rejected.HttpContext).ConfigureAwait(false);
        };
        if (requestsPerSecond == 0)
        {
            return;
        }

        limiter.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(context => RateLimitPartition.GetTokenBucketLimiter(
            context.Connection.RemoteIpAddress?.ToString() ?? "",
            _ => new TokenBucketRateLimiterOptions
            {
                TokenLimit = requestsPerSecond * 2,
                TokensPerPeriod = requestsPerSecond,
                ReplenishmentPeriod = TimeSpan.FromSeconds(1),
                QueueLimit = 0,
            }));
    }
}
