using System.Diagnostics;

namespace KvMesh.Cluster;

/// <summary>Traces of what the control plane does step by step.</summary>
public static class ClusterActivities
{
    /// <summary>Name of the source, for whoever exports traces.</summary>
    public const string SourceName = "KvMesh.Cluster";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Opens a span, or returns null when nobody listens.</summary>
    internal static Activity? Start(string name) => Source.StartActivity(name);
}
