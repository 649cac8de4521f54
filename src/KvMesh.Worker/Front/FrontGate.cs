using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace KvMesh.Worker.Front;

/// <summary>
/// Lets callers in by their bearer token. A worker that asks for none answers only to names that no foreign page can own, so that a browser on the same
/// machine cannot be led to it by a name that was pointed here (DNS rebinding). Both are as at a node.
/// </summary>
internal sealed class FrontGate(RequestDelegate next, FrontOptions options)
{
    private const string Scheme = "Bearer ";

    // Longer than any token that is made for this, short enough to hash at any rate.
    private const int MaxTokenCharacters = 512;

    public Task InvokeAsync(HttpContext context)
    {
        if (options.Admits is not { } admits)
        {
            return IsTrustedHost(context.Request.Host)
                ? next(context)
                : FrontErrors.FieldAsync(
                    context, new FieldFault("Host", context.Request.Host.Value, "a worker without tokens answers to IP addresses, localhost and its own name"),
                    StatusCodes.Status421MisdirectedRequest);
        }

        // Whoever probes has no token.
        if (context.Request.Path == FrontRoutes.Health || (TokenOf(context.Request) is { } token && admits(token)))
        {
            return next(context);
        }

        context.Response.Headers.WWWAuthenticate = "Bearer realm=\"kvmesh\"";
        return FrontErrors.PlainAsync(context, StatusCodes.Status401Unauthorized, "Send Authorization: Bearer and a token of this worker.", "invalid_api_key");
    }

    private static string? TokenOf(HttpRequest request)
    {
        var header = request.Headers[HeaderNames.Authorization].ToString();
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) && header.Length <= Scheme.Length + MaxTokenCharacters
            ? header[Scheme.Length..].Trim()
            : null;
    }

    private bool IsTrustedHost(HostString host) =>
        IPAddress.TryParse(host.Host.Trim('[', ']'), out _)
        || host.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.Host.Equals(Environment.MachineName, StringComparison.OrdinalIgnoreCase)
        || options.AllowedHosts.Contains(host.Host, StringComparer.OrdinalIgnoreCase);
}
