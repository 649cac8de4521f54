using KvMesh.Cli.Workload;
using KvMesh.Cli.Workload.Routing;

namespace KvMesh.Cli.Hosting;

/// <summary>The same front door of several nodes of one mesh.</summary>
internal sealed class DoorMesh : IDoorSource
{
    /// <summary>A node that hangs costs each engine this much, once, and then its requests go elsewhere.</summary>
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(10);

    private readonly DoorTarget[] _targets;
    private readonly MeshEndpoint[] _nodes;
    private readonly MeshRouter _router;

    public DoorMesh(Via via, IReadOnlyList<string> addresses, string? token, RequestRouting routing, int affinityBlocks, TimeProvider time)
    {
        _targets = [.. addresses.Select(address => new DoorTarget(via, address, token) { RequestTimeout = RequestTimeout })];
        _nodes = [.. addresses.Select(address => new MeshEndpoint(address, time))];
        _router = new MeshRouter(routing, addresses, affinityBlocks);
    }

    public int Endpoints => _targets.Length;

    public IReadOnlyList<MeshEndpoint> Nodes => _nodes;

    public async ValueTask<IWorkloadDoor> OpenAsync(WorkloadKeys keys, string clientName, CancellationToken cancellationToken)
    {
        var door = new RoutedDoor(_router, _nodes, (index, stop) => OpenNodeAsync(index, keys, clientName, stop));
        try
        {
            await door.OpenAsync(cancellationToken);
            return door;
        }
        catch (IOException e)
        {
            await door.DisposeAsync();
            throw new CommandException(ExitCode.NodeUnreachable, $"no node of --endpoints answers: {e.Message}", e);
        }
        catch
        {
            await door.DisposeAsync();
            throw;
        }
    }

    private async ValueTask<IWorkloadDoor> OpenNodeAsync(int index, WorkloadKeys keys, string clientName, CancellationToken cancellationToken)
    {
        try
        {
            return await _targets[index].OpenAsync(keys, clientName, cancellationToken);
        }
        catch (CommandException e) when (e.ExitCode == ExitCode.NodeUnreachable)
        {
            throw new IOException(e.Message, e);
        }
    }
}
