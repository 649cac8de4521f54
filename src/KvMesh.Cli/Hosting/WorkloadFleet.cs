using KvMesh.Cli.Workload;

namespace KvMesh.Cli.Hosting;

/// <summary>The clients of one workload and the doors they use.</summary>
internal sealed class WorkloadFleet : IAsyncDisposable
{
    private readonly List<IWorkloadDoor> _doors = [];
    private readonly List<WorkloadClient> _clients = [];

    private WorkloadFleet()
    {
    }

    public IReadOnlyList<WorkloadClient> Clients => _clients;

    /// <exception cref="CommandException">The node cannot be reached.</exception>
    public static async Task<WorkloadFleet> OpenAsync(
        IDoorSource source, WorkloadKeys keys, int clients, TimeProvider time, CancellationToken cancellationToken)
    {
        var fleet = new WorkloadFleet();
        try
        {
            for (var i = 0; i < clients; i++)
            {
                var door = await source.OpenAsync(keys, $"kvmesh-workload-{i}", cancellationToken);
                fleet._doors.Add(door);
                fleet._clients.Add(new WorkloadClient(door, keys, time, source.Endpoints));
            }

            return fleet;
        }
        catch
        {
            await fleet.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var door in _doors)
        {
            await door.DisposeAsync();
        }
    }
}
