namespace KvMesh.Cli.Workload.Routing;

/// <summary>How requests are dealt to the nodes of a mesh.</summary>
internal enum RequestRouting
{
    /// <summary>Each request to the next node, whatever it asks for.</summary>
    RoundRobin,

    /// <summary>Requests with the same first blocks to the same node.</summary>
    Affinity,
}
