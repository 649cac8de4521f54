using System.Collections.Immutable;

namespace KvMesh.Cluster.Membership;

/// <summary>
/// Who is in the cluster, at one moment. Immutable; of two views of one process the one with the higher epoch is the later. Epochs of
/// two processes say nothing about each other.
/// </summary>
public sealed class ClusterView
{
    /// <summary>Before the first word from the store.</summary>
    public static readonly ClusterView Empty = new(0, [], isFrozen: false);

    public ClusterView(long epoch, ImmutableArray<NodeRecord> nodes, bool isFrozen)
    {
        Epoch = epoch;
        Nodes = nodes.Sort(static (left, right) => string.CompareOrdinal(left.Id.Value, right.Id.Value));
        IsFrozen = isFrozen;
    }

    public long Epoch { get; }

    /// <summary>Members that this node can work with, itself among them; ordered by id, so that every node computes the same from the same view.</summary>
    public ImmutableArray<NodeRecord> Nodes { get; }

    /// <summary>Members whose versions of the mesh protocol have none in common with this node's: shown to operators, and not used.</summary>
    public ImmutableArray<NodeRecord> Incompatible { get; init; } = [];

    /// <summary>The cluster's name and secret; null before the first word from the store. It changes only when the store lost its data.</summary>
    public ClusterIdentity? Identity { get; init; }

    /// <summary>Whether the store is silent and this is the last that was known.</summary>
    public bool IsFrozen { get; }

    public NodeRecord? Find(NodeId id)
    {
        var (low, high) = (0, Nodes.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            switch (string.CompareOrdinal(Nodes[middle].Id.Value, id.Value))
            {
                case 0:
                    return Nodes[middle];
                case < 0:
                    low = middle + 1;
                    break;
                default:
                    high = middle - 1;
                    break;
            }
        }

        return null;
    }
}

/// <summary>The view of this process. Readers take <see cref="Current"/> once and work with it.</summary>
public interface IClusterViews
{
    /// <summary>This node.</summary>
    NodeId Self { get; }

    ClusterView Current { get; }

    /// <summary>The current view, then every later one that the reader keeps up with; epochs only grow.</summary>
    IAsyncEnumerable<ClusterView> WatchAsync(CancellationToken cancellationToken);
}
