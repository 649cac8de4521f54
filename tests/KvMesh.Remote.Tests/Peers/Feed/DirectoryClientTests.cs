using System.Diagnostics;
using System.Globalization;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using KvMesh.Remote.Peers.Feed;
using KvMesh.TestKit;

namespace KvMesh.Remote.Tests.Peers.Feed;

public sealed class DirectoryClientTests : IAsyncLifetime
{
    private MapMesh _mesh = null!;
    private BlockMap _map = null!;
    private DirectoryClient _client = null!;

    private MapNode Living => _mesh.Nodes[0];

    private DigestSecret Secret => _mesh.Identity.Secret;

    public async Task InitializeAsync()
    {
        (_mesh, _map, _client) = Make();
        _mesh.ShowAll();
        await Eventually.Holds(() => Living.Locator.Role is not null, "a directory");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        _map.Dispose();
        await _mesh.DisposeAsync();
    }

    [Fact]
    public async Task Directories_that_drop_packets_cost_the_limit_together_and_another_one_is_heard()
    {
        using var silent = new SilentPort();
        var others = Others(40, silent.Endpoint.ToString());
        var assignment = SlotAssignment.Of(new ClusterView(1, [Living.Record, .. others], isFrozen: false));
        var digests = Enumerable.Range(0, 256).Select(Digest).ToArray();
        var holder = Place(digests, others[0]);
        var holders = new BlockHolders[digests.Length];
        var limit = TimeSpan.FromMilliseconds(100);

        var startedAt = Stopwatch.GetTimestamp();
        _client.Locate(assignment, Secret, digests, holders, _map, limit);
        Assert.True(Stopwatch.GetElapsedTime(startedAt) < TimeSpan.FromSeconds(60), "A look-up waited for the kernel to give up.");

        var known = Enumerable.Range(0, digests.Length).Where(index => assignment.DirectoriesOf(DigestSlots.Of(digests[index])).Contains((ushort)0)).ToList();
        Assert.NotEmpty(known);
        await Eventually.Holds(
            () => _client.Locate(assignment, Secret, digests, holders, _map, limit) && known.TrueForAll(index => holders[index].Contains(holder)),
            "answers of the one that lives, for every block that it is a directory for");
    }

    [Fact]
    public void All_holders_are_told_where_they_are_asked_for()
    {
        var others = Others(20, "127.0.0.1:1");
        var assignment = SlotAssignment.Of(new ClusterView(1, [Living.Record], isFrozen: false));
        var numbers = others.Select(other => Place([Digest(1)], other)).ToHashSet();
        var holders = new HolderLists(2);

        Assert.True(_client.LocateAll(assignment, Secret, [Digest(0), Digest(1)], holders, _map, Eventually.Patience));
        Assert.Equal(0, holders[0].Length);
        Assert.Equal(numbers, holders[1].ToArray().ToHashSet());
    }

    [Fact]
    public void Connections_to_nodes_that_left_are_given_up()
    {
        using var closed = new ClosedPort();
        var others = Others(20, closed.Endpoint.ToString());
        var digests = Enumerable.Range(0, 256).Select(Digest).ToArray();
        var holders = new BlockHolders[digests.Length];
        _client.Locate(SlotAssignment.Of(new ClusterView(1, [Living.Record, .. others], isFrozen: false)), Secret, digests, holders, _map, Eventually.Patience);
        Assert.True(_client.Known > 1);

        _client.Locate(SlotAssignment.Of(new ClusterView(2, [Living.Record], isFrozen: false)), Secret, digests, holders, _map, Eventually.Patience);
        Assert.Equal(1, _client.Known);
    }

    private static (MapMesh, BlockMap, DirectoryClient) Make() => (
        new MapMesh(new MapNode(0)), new BlockMap(new BlockMapOptions()), new DirectoryClient(NodeId.Parse("asker"), PeerCredential.None, TimeProvider.System));

    private static NodeRecord[] Others(int count, string address) =>
    [
        .. Enumerable.Range(1, count).Select(index => new NodeRecord
        {
            Id = NodeId.Parse(string.Create(CultureInfo.InvariantCulture, $"other-{index}")), Incarnation = 1, NativeAddress = address,
        }),
    ];

    private KeyDigest Digest(int block) => KeyDigest.Compute(Secret, 1, BitConverter.GetBytes(block));

    /// <summary>Tells the directory that a node holds blocks. Returns the node's number in the asker's map.</summary>
    private ushort Place(KeyDigest[] digests, NodeRecord holder)
    {
        var number = Living.Map.Join(holder);
        foreach (var digest in digests)
        {
            Living.Map.Set(digest, number, tiers: 1, 10);
        }

        return _map.Join(holder);
    }
}
