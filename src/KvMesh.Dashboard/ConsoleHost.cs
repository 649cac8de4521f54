using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvMesh.Dashboard;

/// <summary>How a dashboard in a process of its own listens.</summary>
public sealed class ConsoleOptions
{
    /// <summary>Where the page is served. Default: 127.0.0.1:8610; port 0 takes any free one.</summary>
    public IPEndPoint Listen { get; set; } = new(IPAddress.Loopback, 8610);

    /// <summary>The node to show and who may see it; <see cref="DashboardOptions.Node"/> is required.</summary>
    public DashboardOptions Dashboard { get; set; } = new();

    /// <summary>Called once with the address of the page, when it can be opened.</summary>
    public Action<Uri>? Started { get; set; }
}

/// <summary>Serves the dashboard of a node from a process of its own.</summary>
public static class ConsoleHost
{
    /// <summary>Serves until the token is cancelled or the process is told to end.</summary>
    /// <exception cref="IOException">The address is in use or not of this machine.</exception>
    public static async Task RunAsync(ConsoleOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Dashboard.Node is null)
        {
            throw new ArgumentException("A dashboard in a process of its own needs the address of its node.", nameof(options));
        }

        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.Logging.AddSimpleConsole(line => line.SingleLine = true);
        builder.Logging.SetMinimumLevel(LogLevel.Warning);

        // A start that fails is told once, by whoever asked for it; the host would add its stack trace.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = 64 * 1024;
            kestrel.Listen(options.Listen);
        });
        builder.Services.AddKvMeshDashboard(options.Dashboard);
        var app = builder.Build();
        await using (app.ConfigureAwait(false))
        {
            app.MapKvMeshDashboard();
            await app.StartAsync(cancellationToken).ConfigureAwait(false);
            var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
            options.Started?.Invoke(new Uri(new Uri(address), DashboardExtensions.BasePath));
            await app.WaitForShutdownAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
