using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Native;
using KvMesh.Gateway.Native.Peers;
using KvMesh.Gateway.Sockets;
using KvMesh.Gateway.Telemetry;
using KvMesh.Protocol.Keys;
using KvMesh.Remote.Peers.Feed;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Remote.Tests.Peers.Feed;

/// <summary>What of a node the block map needs: a real engine behind a real native door, and the map with its feeds.</summary>
internal sealed class MapNode : IAsyncDisposable
{
    private readonly GatewayMetrics _gateway = new();
    private readonly Meter _meter = new("test");
    private readonly AccessControl _access;
    private readonly ConnectionHost _host;
    private readonly DirectoryClient _directories;
    private readonly PeerDoor _door;
    private readonly MapFeeder _feeder;
    private bool _isStopped;

    public MapNode(int index, PausingClock? clock = null, long arenaBytes = 16 << 20, long maxLocations = 1 << 20)
    {
        Id = NodeId.Parse(string.Create(CultureInfo.InvariantCulture, $"node-{index}"));
        Engine = new TestEngine(options => options.ArenaBytes = arenaBytes);
        Views = new ViewSource(Id);
        _access = new AccessControl(Engine.Engine.Tenants, NullLoggerFactory.Instance);
        var native = new NativeSessionFactory(
            Engine.Engine, _access, _gateway, new NativeOptions { NodeId = Id.Value, Incarnation = 1 }, CancellationToken.None);
        _host = new ConnectionHost(new SocketOptions(), _gateway, TimeProvider.System, NullLogger<ConnectionHost>.Instance);
        var endpoint = (IPEndPoint)_host.Listen(new IPEndPoint(IPAddress.Loopback, 0), native);
        Map = new BlockMap(new BlockMapOptions { MaxLocations = maxLocations });
        Metrics = new MapMetrics(Map, _meter);
        _directories = new DirectoryClient(Id, PeerCredential.None, TimeProvider.System);
        Locator = new BlockLocator(Map, _directories, Metrics);
        native.Peers = _door = new PeerDoor(Engine.Engine, Locator, TimeProvider.System);
        _feeder = new MapFeeder(
            Views, Locator, PeerCredential.None, new MapFeedOptions { AnswerLimit = Eventually.Patience }, Metrics, clock ?? TimeProvider.System, NullLoggerFactory.Instance);
        _host.Start();
        _feeder.Start();
        Record = new NodeRecord { Id = Id, Incarnation = 1, NativeAddress = endpoint.ToString() };
    }

    public static BlockScope Scope { get; } = new("model", "1", new byte[32], 0);

    public NodeId Id { get; }

    public NodeRecord Record { get; }

    public TestEngine Engine { get; }

    public ViewSource Views { get; }

    public BlockMap Map { get; }

    public MapMetrics Metrics { get; }

    public BlockLocator Locator { get; }

    /// <summary>What other nodes ask beyond blocks.</summary>
    public PeerDoor Door => _door;

    public ConnectionHost Host => _host;

    public static byte[] KeyOf(int block) => Scope.KeyOf(TestBytes.Hash(1, block));

    /// <summary>Hashes of the first blocks.</summary>
    public static byte[] Chain(int blocks) => [.. Enumerable.Range(0, blocks).SelectMany(block => TestBytes.Hash(1, block))];

    public void Put(int block, int payloadBytes = 10) =>
        Assert.Equal(SealStatus.Sealed, Engine.PutContent(KeyOf(block), new byte[payloadBytes], block == 0 ? default : KeyOf(block - 1)));

    public bool Remove(int block) => Engine.Engine.Remove(Engine.Tenant, KeyOf(block));

    /// <summary>Tells its directories again how a block stands.</summary>
    public void Correct(int block) => _door.Correct(Engine.Tenant, KeyOf(block));

    public bool Has(int block) => Engine.Engine.TryInspect(Engine.Tenant, KeyOf(block), out _);

    /// <summary>Whether this node's map says that another one holds the block.</summary>
    public bool Knows(int block, MapNode holder)
    {
        var number = Map.NumberOf(holder.Id);
        return number != 0 && Locator.Locate(Tenant.DefaultName, KeyOf(block), TimeSpan.FromSeconds(20)).Contains(number);
    }

    /// <summary>Ends as a process that is killed: its door closes in the middle of whatever it does.</summary>
    public async Task KillAsync()
    {
        if (!_isStopped)
        {
            _isStopped = true;
            await _feeder.DisposeAsync();
            await _host.StopAsync(TimeSpan.Zero, CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _directories.Dispose();
        _door.Dispose();
        Map.Dispose();
        _access.Dispose();
        _gateway.Dispose();
        _meter.Dispose();
        Engine.Dispose();
    }
}
