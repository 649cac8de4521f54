using System.Diagnostics;

namespace KvMesh.Server.Telemetry;

/// <summary>Traces of what a node does seldom and slowly. Operations on blocks are counted, never traced one by one.</summary>
internal static class NodeActivities
{
    public const string SourceName = "KvMesh.Node";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Opens a span, or returns null when nobody listens.</summary>
    /// <param name="since">When it began; null: now.</param>
    public static Activity? Start(string name, string nodeId, DateTimeOffset? since = null)
    {
        var activity = Source.StartActivity(name, ActivityKind.Internal, parentContext: default, startTime: since ?? default);
        activity?.SetTag("kvmesh.node.id", nodeId);
        return activity;
    }
}
