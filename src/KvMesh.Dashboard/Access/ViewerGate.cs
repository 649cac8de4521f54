using System.Net;
using Microsoft.AspNetCore.Http;

namespace KvMesh.Dashboard.Access;

/// <summary>What a viewer may do.</summary>
/// <param name="IsAdmitted">Whether the page may be shown with <paramref name="Token"/>; the node decides what that token sees.</param>
/// <param name="Token">Token of the viewer's session; null asks the node without one.</param>
internal readonly record struct Viewer(bool IsAdmitted, string? Token);

/// <summary>
/// Decides at the door who must show a token. The dashboard asks the node from this machine, so a viewer from another machine
/// must never borrow the trust that loopback has.
/// </summary>
internal sealed class ViewerGate(DashboardOptions options, Sessions sessions)
{
    public Viewer Look(HttpContext context)
    {
        if (sessions.TryFind(context.Request.Cookies[Sessions.CookieName], out var token))
        {
            return new Viewer(IsAdmitted: true, token);
        }

        return new Viewer(options.AllowAnonymousOffLoopback || IsOnThisMachine(context), null);
    }

    /// <summary>
    /// Whether browser and server are one machine. A name other than localhost means that a page of somebody else may have led the
    /// browser here (DNS rebinding); a forwarding header means that a proxy stands for somebody else.
    /// </summary>
    public static bool IsOnThisMachine(HttpContext context)
    {
        var connection = context.Connection;
        return connection.RemoteIpAddress is { } remote && IPAddress.IsLoopback(remote)
            && connection.LocalIpAddress is { } local && IPAddress.IsLoopback(local)
            && IsLoopbackName(context.Request.Host.Host)
            && !context.Request.Headers.ContainsKey("Forwarded")
            && !context.Request.Headers.ContainsKey("X-Forwarded-For");
    }

    /// <summary>Whether a request that changes something, or a socket, was begun by a page of this server.</summary>
    public static bool IsFromOwnPage(HttpRequest request)
    {
        var origin = request.Headers.Origin.ToString();
        return Uri.TryCreate(origin, UriKind.Absolute, out var uri)
            && string.Equals(uri.Authority, Authority(request), StringComparison.OrdinalIgnoreCase);
    }

    private static string Authority(HttpRequest request) =>
        new UriBuilder(request.Scheme, request.Host.Host, request.Host.Port ?? -1).Uri.Authority;

    private static bool IsLoopbackName(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
}
