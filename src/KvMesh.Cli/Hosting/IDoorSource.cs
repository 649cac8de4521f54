using KvMesh.Cli.Workload;

namespace KvMesh.Cli.Hosting;

/// <summary>Opens a door for each engine of a workload: to one node, or to several as one.</summary>
internal interface IDoorSource
{
    /// <summary>Nodes behind each door.</summary>
    int Endpoints { get; }

    /// <exception cref="CommandException">No node answers, or it cannot be used this way.</exception>
    ValueTask<IWorkloadDoor> OpenAsync(WorkloadKeys keys, string clientName, CancellationToken cancellationToken);
}
