using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Membership;

/// <summary>What makes a cluster itself. The first node of a cluster creates it, the store keeps it, and every joiner gets it.</summary>
/// <param name="Name">Name of the cluster, by the rules of <see cref="NodeId"/>.</param>
/// <param name="Secret">
/// 128 random bits under which nodes compute the digests that they talk to each other about. Who does not know them cannot make
/// digests collide.
/// </param>
/// <param name="CreatedAt">When it was created, by the store's clock. Of two identities of one name the older one is the cluster's.</param>
public sealed record ClusterIdentity(string Name, DigestSecret Secret, DateTimeOffset CreatedAt)
{
    /// <summary>Whether this one holds where the other is known as well: the older, and of two of one time the smaller secret.</summary>
    public bool Precedes(ClusterIdentity other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return (CreatedAt, Secret.High, Secret.Low).CompareTo((other.CreatedAt, other.Secret.High, other.Secret.Low)) < 0;
    }

    /// <summary>The secret stays out of logs.</summary>
    public override string ToString() => $"{Name}, since {CreatedAt:u}";
}
