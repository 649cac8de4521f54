using KvMesh.Dashboard.Access;
using KvMesh.Dashboard.Actions;
using KvMesh.Dashboard.Feed;
using KvMesh.Dashboard.Pages;
using KvMesh.Dashboard.Views;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace KvMesh.Dashboard;

/// <summary>Adds the dashboard to a server: the node itself, or a process of its own.</summary>
public static class DashboardExtensions
{
    /// <summary>Where the dashboard lies; "/" leads there.</summary>
    public const string BasePath = "/dashboard";

    /// <summary>What the dashboard needs. It takes its clock from a registered <see cref="TimeProvider"/>.</summary>
    public static IServiceCollection AddKvMeshDashboard(this IServiceCollection services, DashboardOptions options)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        services.AddRazorComponents();

        services.AddDataProtection().UseEphemeralDataProtectionProvider();
        services.Configure<KeyManagementOptions>(ForgottenKeys.Configure);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton<NodeAddress>();
        services.AddSingleton<Feeds>();
        services.AddSingleton<Sessions>();
        services.AddSingleton<SignInLimiter>();
        services.AddSingleton<TokenCheck>();
        services.AddSingleton<ViewerGate>();
        services.AddSingleton<ViewSlots>();
        services.AddSingleton<FrameRenderer>();
        services.AddSingleton<ViewSocket>();
        services.AddSingleton<AssetCatalog>();
        services.AddSingleton<PageEndpoints>();
        services.AddSingleton<ActionEndpoints>();
        services.AddSingleton<LivePage, BoardPage>();
        services.AddSingleton<LivePage, ClusterPage>();
        services.AddSingleton<LivePage, SequenceListPage>();
        services.AddSingleton<LivePage, SequencePage>();
        services.AddSingleton<LivePage, CapacityPage>();
        return services;
    }

    /// <summary>Serves the dashboard under <see cref="BasePath"/>, and from "/" leads to it.</summary>
    public static WebApplication MapKvMeshDashboard(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        var pages = app.Services.GetRequiredService<PageEndpoints>();
        var actions = app.Services.GetRequiredService<ActionEndpoints>();
        var assets = app.Services.GetRequiredService<AssetCatalog>();
        var socket = app.Services.GetRequiredService<ViewSocket>();
        app.UseWebSockets();
        app.MapGet("/", () => TypedResults.Redirect(BasePath)).ExcludeFromDescription();
        var group = app.MapGroup(BasePath).ExcludeFromDescription();
        foreach (var page in app.Services.GetServices<LivePage>())
        {
            app.MapGet(page.Address, (Delegate)((HttpContext context) => pages.ShowAsync(context, page))).ExcludeFromDescription();
            app.MapGet(page.Address + "/view", (HttpContext context) => socket.RunAsync(context, page)).ExcludeFromDescription();
        }

        group.MapGet("/act", actions.Ask);
        group.MapPost("/act", (Delegate)actions.ActAsync).DisableAntiforgery();
        group.MapPost("/sign-in", (Delegate)pages.SignInAsync).DisableAntiforgery();
        group.MapPost("/sign-out", pages.SignOut).DisableAntiforgery();
        group.MapGet("/assets/{name}", assets.Serve);
        return app;
    }
}
