using System.Diagnostics;

namespace KvMesh.Server.Telemetry;

/// <summary>Traces of what a node does seldom and slowly. Operations on blocks are counted, never traced one by one.</summary>
internal static class NodeActivities
{
    public const string SourceName = "KvMesh.Node";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Opens a span, or returns null when nobody listens.</summary>
    public static Activity? Start(string name, string nodeId)
    {
        var activity = Source.StartActivity(name);
        activity?.SetTag("kvmesh.node.id", nodeId);
        return activity;
    }
}
