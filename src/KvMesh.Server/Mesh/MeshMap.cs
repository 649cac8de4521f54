using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Gateway.Native.Peers;
using KvMesh.Remote.Peers.Feed;
using NodeId = KvMesh.Cluster.Membership.NodeId;

namespace KvMesh.Server.Mesh;

/// <summary>The block map of this node, and what keeps it in step with the cluster.</summary>
internal sealed class MeshMap : IAsyncDisposable
{
    private readonly BlockMap _map;
    private readonly DirectoryClient _directories;
    private readonly MapFeeder _feeder;

    public MeshMap(MeshContext context, NodeId self, IClusterViews views, PeerCredential credential)
    {
        _map = new BlockMap(context.Options.Mesh.Map);
        Metrics = new MapMetrics(_map, context.Metrics.Meter);
        _directories = new DirectoryClient(self, credential, context.Time);
        Locator = new BlockLocator(_map, _directories, Metrics);
        Door = new PeerDoor(context.Engine, Locator, context.Time);
        _feeder = new MapFeeder(views, Locator, credential, context.Options.Mesh.Feed, Metrics, context.Time, context.Loggers);
    }

    public MapMetrics Metrics { get; }

    /// <summary>Tells who holds a block.</summary>
    public BlockLocator Locator { get; }

    /// <summary>What the native door serves to other nodes.</summary>
    public PeerDoor Door { get; }

    public void Start() => _feeder.Start();

    public async ValueTask DisposeAsync()
    {
        await _feeder.DisposeAsync().ConfigureAwait(false);
        _directories.Dispose();
        Door.Dispose();
        _map.Dispose();
    }
}
