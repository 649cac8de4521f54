using KvMesh.Gateway.Access;
using KvMesh.Gateway.Http.Metrics;
using KvMesh.Protocol.Admin;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;

namespace KvMesh.Gateway.Http;

/// <summary>What machines ask: whether the node lives, whether it takes traffic, and its figures.</summary>
internal static class ProbeEndpoints
{
    public static void Map(IEndpointRouteBuilder routes, NodeView node)
    {
        routes.MapGet(AdminRoutes.Healthy, () => TypedResults.Text("healthy\n"))
            .WithName("getHealth").WithTags("probes").WithSummary("Answers while the process can answer.");

        routes.MapGet(AdminRoutes.Ready, () => Ready(node))
            .WithName("getReadiness").WithTags("probes").WithSummary("200 while the node takes traffic, else 503.")
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);

        routes.MapGet(AdminRoutes.Metrics, (HttpRequest request) => Metrics(node, request))
            .Describe("getMetrics", "All figures in the text format of Prometheus, version 0.0.4.", AccessRights.Admin)
            .Produces<string>(StatusCodes.Status200OK, "text/plain")
            .ProducesProblem(StatusCodes.Status406NotAcceptable);
    }

    private static Results<ContentHttpResult, ProblemHttpResult> Ready(NodeView node) => node.IsReady
        ? TypedResults.Text(ReadyText(node))
        : Problems.Plain(StatusCodes.Status503ServiceUnavailable, "Not ready", "The node is starting or stopping.");

    /// <summary>A node that is no member of its cluster serves what it has all the same, and says so.</summary>
    private static string ReadyText(NodeView node) =>
        node.Mesh?.Status() is { Reason.Length: > 0 } mesh ? $"ready, alone: {mesh.Reason}\n" : "ready\n";

    private static IResult Metrics(NodeView node, HttpRequest request)
    {
        var accept = request.Headers.Accept;
        if (accept.Count > 0 && !(MediaTypeHeaderValue.TryParseList(accept, out var ranges) && ranges.Any(Accepts)))
        {
            return Problems.Field("Accept", accept.ToString(), "this answers text/plain; version=0.0.4", StatusCodes.Status406NotAcceptable);
        }

        return TypedResults.Text(PrometheusText.Write(node.Collector.Collect()), PrometheusText.ContentType);
    }

    private static bool Accepts(MediaTypeHeaderValue range)
    {
        if (range.Quality is 0)
        {
            return false;
        }

        var version = range.Parameters.FirstOrDefault(parameter => parameter.Name.Equals("version", StringComparison.OrdinalIgnoreCase));
        return range.MatchesAllTypes
            || (range.Type.Equals("text", StringComparison.OrdinalIgnoreCase)
                && (range.MatchesAllSubTypes || range.SubType.Equals("plain", StringComparison.OrdinalIgnoreCase))
                && (version is null || version.GetUnescapedValue() == "0.0.4"));
    }
}
