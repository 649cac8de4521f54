using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;

namespace KvMesh.Remote.Tests.Peers.Feed;

/// <summary>Several nodes in this process that see the same view.</summary>
internal sealed class MapMesh(params MapNode[] nodes) : IAsyncDisposable
{
    private long _epoch;

    public ClusterIdentity Identity { get; set; } = new("test", new DigestSecret(5, 6), DateTimeOffset.UnixEpoch);

    public IReadOnlyList<MapNode> Nodes => nodes;

    /// <summary>Shows every node a view of some of them.</summary>
    public void Show(IEnumerable<NodeRecord> members)
    {
        var view = new ClusterView(++_epoch, [.. members], isFrozen: false) { Identity = Identity };
        foreach (var node in nodes)
        {
            node.Views.Show(view);
        }
    }

    public void ShowAll() => Show(nodes.Select(node => node.Record));

    public async ValueTask DisposeAsync()
    {
        foreach (var node in nodes)
        {
            await node.DisposeAsync();
        }
    }
}
