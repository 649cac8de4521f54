using System.Diagnostics;

namespace KvMesh.Remote;

/// <summary>
/// Traces of calls to other nodes that did not go as usual. What goes as usual is counted, never traced one by one.
/// </summary>
public static class RemoteActivities
{
    /// <summary>Name of the source, for whoever exports traces.</summary>
    public const string SourceName = "KvMesh.Remote";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Opens a span of what began earlier, or returns null when nobody listens.</summary>
    internal static Activity? Start(string name, DateTimeOffset since) =>
        Source.StartActivity(name, ActivityKind.Client, parentContext: default, startTime: since);
}
