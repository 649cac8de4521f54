using System.Globalization;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Nodes as processes and the redis-server where they meet, for tests of what their scheduler orders. Nodes may join later.</summary>
internal sealed class PlacementMesh : IAsyncDisposable
{
    /// <summary>Payload that one plan may move to a node, and from one: eight blocks of <see cref="Blocks"/>. See the options of <see cref="JoinAsync"/>.</summary>
    public const int BytesPerStep = 8 * Blocks.PayloadBytes;

    private readonly RedisServer _redis;
    private readonly List<NodeFolders> _folders = [];
    private readonly List<NodeProcess> _nodes = [];
    private readonly HttpClient _http = new() { Timeout = Eventually.Patience };

    private PlacementMesh(RedisServer redis) => _redis = redis;

    public static async Task<PlacementMesh> StartAsync() => new(await RedisServer.StartAsync());

    /// <summary>Starts a node whose network is taken for 4 MiB/s, of which orders get a quarter, and waits until all see all.</summary>
    public async Task<NodeProcess> JoinAsync(string id, params (string Name, string Value)[] options)
    {
        var folders = new NodeFolders();
        _folders.Add(folders);
        folders.JoinMesh(_redis.Port, id);
        (string Name, string Value)[] all =
        [
            ("Placement__Step", "500ms"),
            ("Placement__DrainTimeout", "0s"),
            ("Placement__LinkBytesPerSecond", "4MiB"),
            ("Placement__BandwidthShare", "0.25"),
            .. options,
        ];
        foreach (var (name, value) in all)
        {
            folders.Environment[$"KVMESH_{name}"] = value;
        }

        var node = await NodeProcess.StartAsync(folders, "--arena", "64MiB");
        _nodes.Add(node);
        foreach (var each in _nodes)
        {
            using var admin = MeshOfThree.Admin(each);
            await Eventually.Holds(async () => (await admin.GetNodesAsync(CancellationToken.None)).Nodes.Count == _nodes.Count, $"{_nodes.Count} nodes in the view of each");
        }

        return node;
    }

    /// <summary>Orders as a node tells them; none while no node plans, or while one that should answer does not.</summary>
    public static async Task<IReadOnlyList<OrderStatus>> OrdersAsync(NodeProcess node)
    {
        using var admin = MeshOfThree.Admin(node);
        try
        {
            return (await admin.GetOrdersAsync(1000, CancellationToken.None)).Orders;
        }
        catch (AdminRefusedException)
        {
            return [];
        }
    }

    /// <summary>Has clients ask, step by step, until the orders that did it are as expected; returns them.</summary>
    /// <param name="asked">The node that is asked for orders.</param>
    public static async Task<IReadOnlyList<OrderStatus>> AskUntilAsync(
        NodeProcess asked, Func<Task> traffic, Func<IReadOnlyList<OrderStatus>, bool> condition, string what)
    {
        IReadOnlyList<OrderStatus> orders = [];
        await Eventually.Holds(
            async () =>
            {
                await traffic();
                orders = await OrdersAsync(asked);
                return condition(orders);
            },
            () => $"{what}; there are: {string.Join("; ", orders.Select(order => $"{order.Kind} {order.FirstBlock}+{order.Blocks} to {order.Target} is {order.State} with {order.MovedBytes} bytes ({order.Reason} {order.Message})"))}");
        return orders;
    }

    /// <summary>The value of a metric with exactly these labels, or its first one where none are named.</summary>
    public async Task<long> ReadAsync(NodeProcess node, string metric)
    {
        var text = await _http.GetStringAsync(new Uri(node.Addresses.Http, "metrics"));
        var line = text.Split('\n').FirstOrDefault(each => each.StartsWith(metric + " ", StringComparison.Ordinal) || each.StartsWith(metric + "{", StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        _http.Dispose();
        await _redis.DisposeAsync();
        _folders.ForEach(folders => folders.Dispose());
    }
}
