using System.Globalization;
using KvMesh.Client;
using KvMesh.TestKit;

namespace KvMesh.Orleans.Tests.Nodes;

/// <summary>Two nodes as processes, each with a silo, and the redis-server where they meet.</summary>
public sealed class NodePair : IAsyncLifetime
{
    private readonly NodeFolders[] _folders = [new(), new()];

    public NodeProcess[] Nodes { get; } = new NodeProcess[2];

    public RedisServer Redis { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Redis = await RedisServer.StartAsync();
        for (var number = 0; number < Nodes.Length; number++)
        {
            _folders[number].JoinMesh(Redis.Port, $"n{number + 1}");
            _folders[number].Environment["KVMESH_Mesh__Silo__Port"] = FreePort.Next().ToString(CultureInfo.InvariantCulture);
            Nodes[number] = await NodeProcess.StartAsync(_folders[number], "--arena", "32MiB", "--control", "orleans");
        }

        await WaitForSilosAsync(Nodes.Length);
    }

    public async Task DisposeAsync()
    {
        foreach (var node in Nodes.Where(node => node is not null))
        {
            await node.DisposeAsync();
        }

        await Redis.DisposeAsync();
        Array.ForEach(_folders, folders => folders.Dispose());
    }

    public Task<KvMeshClient> ConnectAsync(int node) => KvMeshClient.ConnectAsync(
        new ClientOptions { Endpoint = Nodes[node].Addresses.NativeEndpoint, AllowSharedMemory = false, Connections = 1, RequestTimeout = Eventually.Patience, ConnectTimeout = Eventually.Patience },
        CancellationToken.None).AsTask();

    /// <summary>Waits until so many silos have entered themselves, dead ones included: the table has a field for each, and one for its version.</summary>
    public async Task WaitForSilosAsync(int count)
    {
        var last = "";
        await Eventually.Holds(
            async () => (last = (await ChildProcess.RunAsync("redis-cli", ["-p", $"{Redis.Port}", "hlen", "kvmesh/members/kvmesh"], Eventually.Patience)).Output.Trim()) == $"{count + 1}",
            () => $"{count} silos in the table of the cluster, which has {last} fields");
    }
}
