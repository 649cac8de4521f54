using KvMesh.Client.Admin;
using KvMesh.Dashboard;
using KvMesh.TestKit;

namespace KvMesh.System.Tests.Dashboard;

/// <summary>Three nodes as processes and the Redis in which they meet, n1 to n3. One for all tests of a class, which leave it as it was.</summary>
public sealed class DashboardMesh : IAsyncLifetime
{
    private readonly List<NodeFolders> _folders = [];
    private readonly List<NodeProcess> _nodes = [];
    private RedisServer _redis = null!;

    public IReadOnlyList<NodeProcess> Nodes => _nodes;

    public Uri Http => Nodes[0].Addresses.Http;

    public async Task InitializeAsync()
    {
        _redis = await RedisServer.StartAsync();
        _nodes.AddRange(await Task.WhenAll(Enumerable.Range(1, 3).Select(number => StartNodeAsync($"n{number}"))));
        using var admin = Admin();
        await Eventually.Holds(async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Count == 3, "three nodes in the view of the first");
    }

    /// <summary>A further node, which is the caller's to end.</summary>
    public Task<NodeProcess> StartNodeAsync(string id)
    {
        var folders = new NodeFolders();
        lock (_folders)
        {
            _folders.Add(folders);
        }

        folders.JoinMesh(_redis.Port, id);
        return NodeProcess.StartAsync(folders, "--arena", "32MiB");
    }

    public AdminClient Admin(int node = 0) => PatientAdmin.Of(Nodes[node].Addresses);

    public Uri Page(string path) => new(Http, DashboardExtensions.BasePath + path);

    /// <summary>Puts a chain on one node and reads it through another.</summary>
    internal static async Task MoveAsync(Blocks blocks, NodeProcess from, NodeProcess to)
    {
        await using (var source = await Blocks.ConnectAsync(from.Addresses.NativeEndpoint))
        {
            await blocks.PutAsync(source);
        }

        await using var target = await Blocks.ConnectAsync(to.Addresses.NativeEndpoint);
        var buffer = new byte[Blocks.PayloadBytes];
        foreach (var hash in blocks.Hashes)
        {
            await Eventually.Holds(
                async () => (await target.GetAsync(Blocks.Scope, hash, buffer, CancellationToken.None)).IsHit, "a block of one node on another");
        }
    }

    public async Task DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        await _redis.DisposeAsync();
        _folders.ForEach(folders => folders.Dispose());
    }
}
