using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Map;

/// <summary>
/// What this node is a directory for at one moment, and under which secret digests are computed. Immutable; swapped as a whole when the
/// view changes.
/// </summary>
/// <param name="Assignment">All directories.</param>
/// <param name="Secret">Secret of the cluster.</param>
/// <param name="Own">Slots of this node.</param>
/// <param name="Self">Number of this node in its own map: what the map says of it is nothing that it would ask for.</param>
public sealed record DirectoryRole(SlotAssignment Assignment, DigestSecret Secret, SlotSet Own, ushort Self)
{
    /// <summary>Tells two secrets apart without telling anything about them.</summary>
    public ulong KeyId { get; } = DigestKeyId.Of(Secret);
}
