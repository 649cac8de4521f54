namespace KvMesh.Worker.Front;

/// <summary>Paths of a worker's HTTP.</summary>
public static class FrontRoutes
{
    public const string Completions = "/v1/completions";

    public const string Models = "/v1/models";

    public const string Health = "/health";

    public const string Metrics = "/metrics";
}
