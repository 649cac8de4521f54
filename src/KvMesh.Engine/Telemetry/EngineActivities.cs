using System.Diagnostics;

namespace KvMesh.Engine.Telemetry;

/// <summary>Traces of what an engine does in the background, batch by batch. Operations on blocks are counted, never traced one by one.</summary>
public static class EngineActivities
{
    /// <summary>Name of the source, for whoever exports traces.</summary>
    public const string SourceName = "KvMesh.Engine";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Opens a span, or returns null when nobody listens.</summary>
    internal static Activity? Start(string name) => Source.StartActivity(name);
}
