using KvMesh.LoadTest.Faults.Networks;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.LoadTest.Faults;

/// <summary>Three nodes as processes and a redis-server, on a network whose ways can be cut.</summary>
internal sealed class FaultMesh : IAsyncDisposable
{
    private static readonly string[] Names = ["n1", "n2", "n3"];

    private readonly List<FaultNode> _nodes = [];
    private int _dataLosses;

    private FaultMesh(MeshNetwork network, RestartableRedis redis)
    {
        Network = network;
        Redis = redis;
    }

    public MeshNetwork Network { get; }

    public RestartableRedis Redis { get; }

    /// <summary>Where a guest is to look for Redis. Guests are on the loopback address.</summary>
    public string RedisForGuests => Network.RedisFor("guest", Redis.Port);

    public IReadOnlyList<FaultNode> Nodes => _nodes;

    public IReadOnlyList<NodeTarget> Targets => [.. _nodes.Select(node => node.Target)];

    /// <summary>How often Redis was started without what it held.</summary>
    public int DataLosses => Volatile.Read(ref _dataLosses);

    /// <summary>On the loopback address, where guests may join, and each way to Redis can be cut.</summary>
    public static Task<FaultMesh> StartAsync() => StartAsync(new LoopbackNetwork(hasFronts: false));

    /// <summary>On a network of its own, where any way can be cut.</summary>
    /// <param name="proxies">Whether it is made of proxies though the machine may grant more.</param>
    public static async Task<FaultMesh> StartApartAsync(bool proxies = false) =>
        await StartAsync(proxies ? new LoopbackNetwork(hasFronts: true) : await MeshNetwork.CreateAsync(Names));

    private static async Task<FaultMesh> StartAsync(MeshNetwork network)
    {
        FaultMesh? mesh = null;
        try
        {
            mesh = new FaultMesh(network, await RestartableRedis.StartAsync(network.ProgramOf(MeshNetwork.Redis), network.HostOf(MeshNetwork.Redis)));
            mesh._nodes.AddRange(Names.Select(name => FaultNode.On(network, name, mesh.Redis.Port)));
            await Task.WhenAll(mesh._nodes.Select(node => node.StartAsync()));
            await mesh.SeeEachOtherAsync();
            return mesh;
        }
        catch
        {
            await (mesh?.DisposeAsync() ?? network.DisposeAsync());
            throw;
        }
    }

    public async Task RestartRedisAsync(bool keepsData)
    {
        if (!keepsData)
        {
            Interlocked.Increment(ref _dataLosses);
        }

        await Redis.RestartAsync(keepsData);
    }

    /// <summary>Waits until each node that is no guest sees the three of them, and these guests, as members that it uses.</summary>
    public async Task SeeEachOtherAsync(params string[] guests)
    {
        string[] expected = [.. _nodes.Select(node => node.Target.Name), .. guests];
        Array.Sort(expected, StringComparer.Ordinal);
        foreach (var node in _nodes)
        {
            using var admin = PatientAdmin.Of(node.Target.Http);
            string[] seen = [];
            await MeshPicture.ExplainAsync(this, default, () => Eventually.Holds(
                async () =>
                {
                    var status = await admin.GetNodesAsync(CancellationToken.None);
                    seen = [.. status.Nodes.Where(member => member.IsUsed).Select(member => member.Id).Order(StringComparer.Ordinal)];
                    return status is { Standing: "member", IsFrozen: false } && seen.SequenceEqual(expected);
                },
                () => $"{string.Join(", ", expected)} in the view of {node.Target.Name}; it sees {string.Join(", ", seen)}"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_nodes.Select(node => node.DisposeAsync().AsTask()));
        await Redis.DisposeAsync();
        await Network.DisposeAsync();
    }
}
