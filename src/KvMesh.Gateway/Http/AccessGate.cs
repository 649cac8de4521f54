using System.Net;
using System.Text;
using KvMesh.Gateway.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace KvMesh.Gateway.Http;

/// <summary>Marks an endpoint that needs a caller with these rights, or with the right admin. Endpoints without it are open to all.</summary>
internal sealed record RequiredRights(AccessRights Rights);

/// <summary>
/// Finds out who calls, before the endpoint runs. A node without credentials answers only to names that no foreign page can
/// own, so that a browser on the same machine cannot be led to it by a name that was pointed here (DNS rebinding).
/// </summary>
internal sealed class AccessGate(RequestDelegate next, NodeView node, HttpDoorOptions options)
{
    private const string Scheme = "Bearer ";

    // Longer than any token that is made for this file, short enough to hash at any rate.
    private const int MaxTokenCharacters = 512;

    public Task InvokeAsync(HttpContext context)
    {
        if (!node.Access.IsRequired && !IsTrustedHost(context.Request.Host))
        {
            return Problems.Field(
                "Host", context.Request.Host.Value, "a node without credentials answers to IP addresses, localhost, its own name and Http:AllowedHosts",
                StatusCodes.Status421MisdirectedRequest).ExecuteAsync(context);
        }

        if (context.GetEndpoint()?.Metadata.GetMetadata<RequiredRights>() is not { } required)
        {
            return next(context);
        }

        var caller = CallerOf(context.Request);
        if (caller is null)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"kvmesh\"";
            return Problems.Plain(
                StatusCodes.Status401Unauthorized, "A token is needed", "Send Authorization: Bearer and a token of this node.").ExecuteAsync(context);
        }

        if (!caller.May(required.Rights) && !caller.May(AccessRights.Admin))
        {
            return Problems.Field("Authorization", caller.Rights.ToString(), $"this needs the right {required.Rights}", StatusCodes.Status403Forbidden)
                .ExecuteAsync(context);
        }

        context.Items[typeof(Caller)] = caller;
        return next(context);
    }

    private Caller? CallerOf(HttpRequest request)
    {
        var header = request.Headers[HeaderNames.Authorization].ToString();
        if (header.Length == 0)
        {
            return node.Access.Anonymous;
        }

        if (!header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) || header.Length > Scheme.Length + MaxTokenCharacters)
        {
            return null;
        }

        // A node without a token file knows no token: a caller that sends one all the same is who it would be without.
        return node.Access.IsRequired
            ? node.Access.Authenticate([], Encoding.UTF8.GetBytes(header[Scheme.Length..].Trim()))
            : node.Access.Anonymous;
    }

    private bool IsTrustedHost(HostString host) =>
        IPAddress.TryParse(host.Host.Trim('[', ']'), out _)
        || host.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.Host.Equals(Environment.MachineName, StringComparison.OrdinalIgnoreCase)
        || options.AllowedHosts.Contains(host.Host, StringComparer.OrdinalIgnoreCase);
}

/// <summary>Reads and states the rights of endpoints.</summary>
internal static class AccessGateExtensions
{
    public static TBuilder Requires<TBuilder>(this TBuilder builder, AccessRights rights)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new RequiredRights(rights));

    /// <summary>The caller of a request to an endpoint with <see cref="RequiredRights"/>.</summary>
    public static Caller Caller(this HttpContext context) => (Caller)context.Items[typeof(Caller)]!;
}
