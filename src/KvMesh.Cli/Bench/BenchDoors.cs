using KvMesh.Cli.Hosting;
using KvMesh.Cli.Workload;

namespace KvMesh.Cli.Bench;

/// <summary>One open door for each client of a benchmark.</summary>
internal sealed class BenchDoors : IAsyncDisposable
{
    private readonly List<IWorkloadDoor> _doors = [];

    public IReadOnlyList<IWorkloadDoor> Doors => _doors;

    /// <exception cref="CommandException">The node cannot be reached.</exception>
    public static async Task<BenchDoors> OpenAsync(DoorTarget target, WorkloadKeys keys, int clients, CancellationToken cancellationToken)
    {
        var doors = new BenchDoors();
        try
        {
            for (var i = 0; i < clients; i++)
            {
                doors._doors.Add(await target.OpenAsync(keys, $"kvmesh-bench-{i}", cancellationToken));
            }

            return doors;
        }
        catch
        {
            await doors.DisposeAsync();
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
