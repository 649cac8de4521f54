using System.Buffers.Binary;
using System.Globalization;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Tests.Map;

/// <summary>Nodes, views and digests for tests of the map.</summary>
internal static class MapScene
{
    public static readonly DigestSecret Secret = new(0x1122334455667788, 0x99aabbccddeeff00);

    public static NodeRecord Node(int index, long incarnation = 1) => new()
    {
        Id = NodeId.Parse(string.Create(CultureInfo.InvariantCulture, $"node-{index}")),
        Incarnation = incarnation,
        NativeAddress = "127.0.0.1:1",
    };

    public static ClusterView View(IEnumerable<NodeRecord> nodes, long epoch = 1) => new(epoch, [.. nodes], isFrozen: false);

    public static ClusterView View(int nodes) => View(Enumerable.Range(0, nodes).Select(index => Node(index)));

    public static KeyDigest Digest(long number)
    {
        Span<byte> key = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(key, number);
        return KeyDigest.Compute(Secret, 1, key);
    }

    public static IEnumerable<ushort> Numbers(KvMesh.Cluster.Map.BlockHolders holders) =>
        Enumerable.Range(0, holders.Count).Select(index => holders[index]);
}
