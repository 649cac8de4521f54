using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using KvMesh.Worker.Model.Text;
using KvMesh.Worker.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace KvMesh.Worker.Front;

/// <summary>
/// What callers of a worker see: HTTP in the shape of OpenAI's API, served by Kestrel. Disposal stops it: no request is let in, those under way may end
/// within <see cref="FrontOptions.StopLimit"/>.
/// </summary>
public sealed class WorkerFront : IAsyncDisposable
{
    private static readonly TimeSpan HeadersLimit = TimeSpan.FromSeconds(10);

    private readonly WebApplication _application;

    private WorkerFront(WebApplication application, Uri address)
    {
        _application = application;
        Address = address;
    }

    /// <summary>Where it serves, with the real port.</summary>
    public Uri Address { get; }

    /// <param name="options">How it answers.</param>
    /// <param name="generator">Computes the answers.</param>
    /// <param name="tokenizer">Of the generator's model.</param>
    /// <param name="others">Maps further routes, behind the same gate; null: none.</param>
    /// <param name="cancellationToken">Gives up the start.</param>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public static async Task<WorkerFront> StartAsync(
        FrontOptions options, IGenerator generator, Tokenizer tokenizer, Action<IEndpointRouteBuilder>? others, CancellationToken cancellationToken)
    {
        var application = Build(options, new CompletionEndpoint(options, generator, tokenizer), others);
        try
        {
            await application.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await application.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        var bound = application.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First();
        var address = new UriBuilder(bound);
        if (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)))
        {
            address.Host = "127.0.0.1";
        }

        return new WorkerFront(application, address.Uri);
    }

    public async ValueTask DisposeAsync()
    {
        await _application.StopAsync(CancellationToken.None).ConfigureAwait(false);
        await _application.DisposeAsync().ConfigureAwait(false);
    }

    private static WebApplication Build(FrontOptions options, CompletionEndpoint completions, Action<IEndpointRouteBuilder>? others)
    {
        // An empty builder reads no appsettings, no ASPNETCORE_ variables and no command line: the worker has options of its own.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "kvmesh", ContentRootPath = AppContext.BaseDirectory });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Configure(kestrel, options));
        builder.Services.Replace(ServiceDescriptor.Singleton(options.Logging));
        builder.Services.Replace(ServiceDescriptor.Singleton<IHostLifetime, WithoutSignals>());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.StopLimit);
        builder.Services.AddSingleton(options);
        builder.Services.AddRoutingCore();

        var application = builder.Build();
        application.UseStatusCodePages(page => ExplainAsync(page.HttpContext));
        application.UseMiddleware<FrontGate>();
        application.MapPost(FrontRoutes.Completions, completions.AnswerAsync);
        application.MapGet(FrontRoutes.Models, context => WriteAsync(context, json => WriteModels(json, options)));
        application.MapGet(FrontRoutes.Models + "/{name}", context => ModelAsync(context, options));
        application.MapGet(FrontRoutes.Health, context => HealthAsync(context, options.Health()));
        if (options.MetricsPage is { } page)
        {
            application.MapGet(FrontRoutes.Metrics, context =>
            {
                context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
                return context.Response.WriteAsync(page(), context.RequestAborted);
            });
        }

        others?.Invoke(application);
        return application;
    }

    private static void Configure(KestrelServerOptions kestrel, FrontOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxConcurrentConnections = options.MaxConnections == 0 ? null : options.MaxConnections;
        kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
        kestrel.Limits.RequestHeadersTimeout = HeadersLimit;
        kestrel.Listen(options.Listen, listen => listen.Protocols = HttpProtocols.Http1);
    }

    /// <summary>Says what routing refused.</summary>
    private static Task ExplainAsync(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status404NotFound => FrontErrors.FieldAsync(
            context,
            new FieldFault("path", context.Request.Path, $"there are {FrontRoutes.Completions}, {FrontRoutes.Models}, {FrontRoutes.Health} and {FrontRoutes.Metrics}"),
            StatusCodes.Status404NotFound),
        StatusCodes.Status405MethodNotAllowed => FrontErrors.FieldAsync(
            context, new FieldFault("method", context.Request.Method, $"it must be {context.Response.Headers.Allow}"), StatusCodes.Status405MethodNotAllowed),
        var status => FrontErrors.PlainAsync(context, status, ReasonPhrases.GetReasonPhrase(status)),
    };

    private static Task ModelAsync(HttpContext context, FrontOptions options) =>
        context.Request.RouteValues["name"] is string name && name == options.ModelName
            ? WriteAsync(context, json => WriteModel(json, options))
            : FrontErrors.FieldAsync(
                context, new FieldFault("model", context.Request.RouteValues["name"] as string, $"this worker has {options.ModelName}", "model_not_found"));

    private static Task HealthAsync(HttpContext context, FrontHealth health)
    {
        context.Response.StatusCode = health.IsReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        return WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("status", health.IsReady ? "ready" : "not ready");
            foreach (var (name, value) in health.Parts)
            {
                json.WriteString(name, value);
            }

            json.WriteEndObject();
        });
    }

    private static void WriteModels(Utf8JsonWriter json, FrontOptions options)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        WriteModel(json, options);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteModel(Utf8JsonWriter json, FrontOptions options)
    {
        json.WriteStartObject();
        json.WriteString("id", options.ModelName);
        json.WriteString("object", "model");
        json.WriteNumber("created", 0);
        json.WriteString("owned_by", "kvmesh");
        json.WriteNumber("max_model_len", options.MaxTokens);
        json.WriteEndObject();
    }

    private static async Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        context.Response.ContentType = "application/json";
        using (var json = new Utf8JsonWriter(context.Response.BodyWriter, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            write(json);
        }

        await context.Response.BodyWriter.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>Leaves signals of the process to the program around the front.</summary>
    private sealed class WithoutSignals : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
