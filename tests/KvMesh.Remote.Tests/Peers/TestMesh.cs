using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Runtime.CompilerServices;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol;
using KvMesh.Remote.Peers;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Remote.Tests.Peers;

/// <summary>An engine that reads from peers, with a map and a view that tests write.</summary>
internal sealed class TestMesh : IBlockLocator, IClusterViews, IDisposable
{
    private readonly ConcurrentDictionary<string, BlockHolders> _holders = new();
    private readonly List<NodeRecord> _nodes = [];

    public TestMesh(Action<PeerOptions>? configure = null, PeerCredential? credential = null, TimeSpan? deadline = null, params string[] tenants)
    {
        var options = new PeerOptions
        {
            ConnectTimeout = TimeSpan.FromSeconds(20),
            FirstHedge = Eventually.Patience,
        };
        configure?.Invoke(options);
        Tier = new PeerTier(this, this, new PeerContext(
            NodeId.Parse("self"), credential ?? PeerCredential.None, options, "", TimeProvider.System, NullLogger.Instance));
        Here = new TestEngine(engine =>
        {
            engine.ArenaBytes = 64 << 20;
            engine.FarTiers.ShortestDeadline = engine.FarTiers.LongestDeadline = deadline ?? Eventually.Patience;
            foreach (var tenant in tenants)
            {
                engine.Tenants.Add(new Engine.TenantOptions { Name = tenant });
            }
        });
        Here.Engine.AttachTier(Tier);
    }

    public PeerTier Tier { get; }

    public TestEngine Here { get; }

    /// <summary>Holders that were told to be wrong.</summary>
    public ConcurrentQueue<ushort> FalseHits { get; } = new();

    public NodeId Self => NodeId.Parse("self");

    public ClusterView Current => new(1, [.. _nodes], isFrozen: false);

    public PeerSnapshot this[ushort node] => Tier.Peers().Single(peer => peer.Node == NameOf(node));

    /// <summary>Adds a node to the cluster; its number in the map is returned.</summary>
    public ushort Join(EndPoint endpoint) => Join(endpoint.ToString()!);

    public ushort Join(string address)
    {
        var number = (ushort)(_nodes.Count + 1);
        _nodes.Add(new NodeRecord { Id = NodeId.Parse(NameOf(number)), Incarnation = 1, NativeAddress = address, Tiers = ImmutableArray<TierCapacity>.Empty });
        return number;
    }

    /// <summary>Says that nodes hold a block, in this order.</summary>
    public void Place(ReadOnlySpan<byte> key, params ushort[] nodes) => PlaceFor("default", key, nodes);

    public void PlaceFor(string tenant, ReadOnlySpan<byte> key, params ushort[] nodes)
    {
        var holders = default(BlockHolders);
        foreach (var node in nodes)
        {
            holders = holders.With(node);
        }

        _holders[NameOf(tenant, key)] = holders;
    }

    /// <summary>The payload, found anywhere and verified; null for a miss.</summary>
    public byte[]? Read(ReadOnlySpan<byte> key, string tenant = "default")
    {
        if (!Here.Engine.TryReadAnywhere(Here.Engine.Tenants.Find(tenant)!, key, out var read))
        {
            return null;
        }

        using (read)
        {
            return read.Verify() ? read.Payload.ToArray() : null;
        }
    }

    public BlockHolders Locate(string tenant, ReadOnlySpan<byte> key, TimeSpan limit) => _holders.GetValueOrDefault(NameOf(tenant, key));

    public void LocateAll(string tenant, IReadOnlyList<ReadOnlyMemory<byte>> keys, HolderLists holders, TimeSpan limit) =>
        throw new NotSupportedException("Readers of blocks count no copies.");

    public int MatchPrefix(
        string tenant, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> hashes, int from, Span<BlockHolders> holders, TimeSpan limit)
    {
        var count = 0;
        for (; (from + count) * Limits.ChainHashBytes < hashes.Length && count < holders.Length; count++)
        {
            holders[count] = Locate(tenant, [.. scope, .. hashes.Slice((from + count) * Limits.ChainHashBytes, Limits.ChainHashBytes)], limit);
            if (holders[count].IsEmpty)
            {
                break;
            }
        }

        return count;
    }

    public int MarkOf(string tenant, ReadOnlySpan<byte> key) => 0;

    public void ReportFalseHit(string tenant, ReadOnlySpan<byte> key, ushort holder, int mark) => FalseHits.Enqueue(holder);

    public NodeRecord? NodeOf(ushort holder) => _nodes[holder - 1];

    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        yield return Current;
    }

    public void Dispose()
    {
        Here.Dispose();
        Tier.Dispose();
    }

    private static string NameOf(ushort node) => $"node-{node}";

    private static string NameOf(string tenant, ReadOnlySpan<byte> key) => $"{tenant}/{Convert.ToHexString(key)}";
}
