using System.Globalization;
using KvMesh.Client.Admin;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Three nodes as processes and the redis-server where they meet.</summary>
public sealed class MeshOfThree : IAsyncLifetime
{
    private readonly NodeFolders[] _folders = [new(), new(), new()];

    /// <summary>Adds to the options of each; null: nothing.</summary>
    public Action<NodeFolders>? Configure { get; init; }

    public NodeProcess[] Nodes { get; } = new NodeProcess[3];

    public RedisServer Redis { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Redis = await RedisServer.StartAsync();
        for (var i = 0; i < Nodes.Length; i++)
        {
            _folders[i].JoinMesh(Redis.Port, $"n{i + 1}");
            _folders[i].Environment["KVMESH_Placement__Step"] = "200ms";
            Configure?.Invoke(_folders[i]);
            Nodes[i] = await NodeProcess.StartAsync(_folders[i], "--arena", "64MiB");
        }

        foreach (var node in Nodes)
        {
            using var admin = Admin(node);
            await Eventually.Holds(async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Count == Nodes.Length, $"three nodes in the view of {node.Addresses.Http}");
        }
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

    /// <summary>A patient client of a node's HTTP door.</summary>
    public static AdminClient Admin(NodeProcess node) => PatientAdmin.Of(node.Addresses);

    /// <summary>Copies of blocks, its own ones among them, that a node knows of.</summary>
    public static async Task<long> KnownAsync(NodeProcess node)
    {
        using var http = new HttpClient { Timeout = Eventually.Patience };
        var text = await http.GetStringAsync(new Uri(node.Addresses.Http, "metrics"));
        var line = text.Split('\n').FirstOrDefault(each => each.StartsWith("kvmesh_map_locations", StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }
}
