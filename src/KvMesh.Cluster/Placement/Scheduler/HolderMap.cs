using System.Collections.Immutable;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Nodes;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Placement.Scheduler;

/// <summary>Who holds which part of a prefix: what the block map says of the others, and this node's own blocks. Any thread; a call may wait for directories.</summary>
internal sealed class HolderMap(NodeId self, IBlockLocator locator, INodeBlocks own)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    /// <summary>The name of a prefix in the cluster: the digest of its last key.</summary>
    public static KeyDigest TailOf(in DigestSecret secret, string tenant, ReadOnlySpan<byte> key) => KeyDigest.Compute(secret, TenantNumbers.Of(tenant), key);

    /// <summary>Runs that nodes hold, those of one node in order.</summary>
    public ImmutableArray<Holding> Find(ChainPrefix prefix)
    {
        var holders = new HolderLists(prefix.Blocks);
        locator.LocateAll(prefix.Tenant, prefix.Keys, holders, Limit);
        var runs = new Dictionary<NodeId, List<Holding>>();
        var ids = new Dictionary<ushort, NodeId?>();
        for (var block = 0; block < holders.Count; block++)
        {
            foreach (var number in holders[block])
            {
                if (!ids.TryGetValue(number, out var id))
                {
                    ids.Add(number, id = locator.NodeOf(number)?.Id);
                }

                if (id is { } node && node != self)
                {
                    Add(runs, node, block);
                }
            }

            if (own.TryFind(prefix.Tenant, prefix.Keys[block].Span, out _))
            {
                Add(runs, self, block);
            }
        }

        return [.. runs.OrderBy(pair => pair.Key.Value, StringComparer.Ordinal).SelectMany(pair => pair.Value)];
    }

    /// <summary>Nodes that hold one block.</summary>
    public IReadOnlyList<NodeId> HoldersOf(string tenant, ReadOnlyMemory<byte> key)
    {
        var holders = new HolderLists(1);
        locator.LocateAll(tenant, [key], holders, Limit);
        var nodes = new List<NodeId>();
        if (own.TryFind(tenant, key.Span, out _))
        {
            nodes.Add(self);
        }

        foreach (var number in holders[0])
        {
            if (locator.NodeOf(number) is { } node && node.Id != self)
            {
                nodes.Add(node.Id);
            }
        }

        return nodes;
    }

    private static void Add(Dictionary<NodeId, List<Holding>> runs, NodeId node, int block)
    {
        if (!runs.TryGetValue(node, out var list))
        {
            runs.Add(node, list = []);
        }

        if (list.Count > 0 && list[^1].FirstBlock + list[^1].Blocks is var end && end >= block)
        {
            list[^1] = end == block ? list[^1] with { Blocks = list[^1].Blocks + 1 } : list[^1];
        }
        else
        {
            list.Add(new Holding(node, block, 1));
        }
    }
}
