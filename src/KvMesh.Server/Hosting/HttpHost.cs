using System.Net;
using KvMesh.Dashboard;
using KvMesh.Gateway.Http;
using KvMesh.Server.Options;
using KvMesh.Server.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Hosting;

/// <summary>Kestrel and what it serves: the HTTP door and the dashboard.</summary>
internal static class HttpHost
{
    // Viewers and scrapers are told to go at once; what is left after this is cut off.
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan HeadersLimit = TimeSpan.FromSeconds(10);

    private const int MaxUpgradedConnections = 64;

    /// <summary>Builds the application; it binds when it is started.</summary>
    public static WebApplication Build(NodeOptions options, NodeView view, NodeMeterFactory meters, ILoggerFactory loggers)
    {
        // An empty builder reads no appsettings, no ASPNETCORE_ variables and no command line: the node has options of its own.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "kvmesh", ContentRootPath = AppContext.BaseDirectory });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Configure(kestrel, options.Http));
        builder.Services.Replace(ServiceDescriptor.Singleton(loggers));
        builder.Services.Replace(ServiceDescriptor.Singleton<System.Diagnostics.Metrics.IMeterFactory>(meters));
        builder.Services.Replace(ServiceDescriptor.Singleton<IHostLifetime, EmbeddedLifetime>());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopLimit);
        builder.Services.AddSingleton(view.Time);
        builder.Services.AddRoutingCore();
        builder.Services.AddKvMeshHttp(view, new HttpDoorOptions
        {
            AllowedHosts = [.. options.Http.AllowedHosts],
            MaxRequestsPerSecond = options.Http.MaxRequestsPerSecond,
        });

        if (options.Console)
        {
            builder.Services.AddKvMeshDashboard(new DashboardOptions { AllowAnonymousOffLoopback = options.Insecure });
        }

        var application = builder.Build();
        application.MapKvMeshHttp();
        if (options.Console)
        {
            application.MapKvMeshDashboard();
        }

        return application;
    }

    /// <summary>Binds and serves. Returns the base address, with the real port.</summary>
    /// <exception cref="NodeStartException">The address cannot be bound.</exception>
    public static async Task<Uri> StartAsync(WebApplication application, HttpOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await application.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (IOException exception)
        {
            throw new NodeStartException(
                $"Http:Port {options.Port} on Http:Address {options.Address} cannot be used: {exception.Message} Stop the other process or set another port.",
                exception);
        }
        catch (System.Net.Sockets.SocketException exception)
        {
            throw new NodeStartException(
                $"Http:Port {options.Port} on Http:Address {options.Address} cannot be used: {exception.Message}.", exception);
        }

        var bound = application.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First();
        var address = new UriBuilder(bound);
        if (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)))
        {
            address.Host = "127.0.0.1";
        }

        return address.Uri;
    }

    private static void Configure(KestrelServerOptions kestrel, HttpOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxConcurrentConnections = options.MaxConnections == 0 ? null : options.MaxConnections;
        kestrel.Limits.MaxConcurrentUpgradedConnections = MaxUpgradedConnections;
        kestrel.Limits.MaxRequestBodySize = HttpDoorOptions.MaxBodyBytes;
        kestrel.Limits.RequestHeadersTimeout = HeadersLimit;
        kestrel.Listen(NodeOptionsRules.AddressOf(options.Address)!, options.Port, listen => listen.Protocols = HttpProtocols.Http1);
    }
}
