using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Which nodes are directories for which slots: a pure function of the view, by rendezvous hashing, so that every node computes the same and
/// a join or leave moves only what it must. In a small cluster every node is a directory for all slots; nothing else differs. Immutable.
/// </summary>
public sealed class SlotAssignment
{
    /// <summary>Up to so many nodes, each is a directory for everything.</summary>
    public const int MaxFullReplicas = 16;

    /// <summary>Directories of a slot in a larger cluster: two may fail at once.</summary>
    public const int DirectoriesPerSlot = 3;

    private readonly ushort[] _directories;
    private readonly int _perSlot;

    private SlotAssignment(ImmutableArray<NodeRecord> nodes, ushort[] directories, int perSlot)
    {
        Nodes = nodes;
        _directories = directories;
        _perSlot = perSlot;
    }

    /// <summary>No node at all.</summary>
    public static SlotAssignment Empty { get; } = new([], [], 0);

    /// <summary>The nodes that are directories; those that are leaving are none.</summary>
    public ImmutableArray<NodeRecord> Nodes { get; }

    public static SlotAssignment Of(ClusterView view)
    {
        ArgumentNullException.ThrowIfNull(view);
        var nodes = view.Nodes.RemoveAll(static node => node.State == NodeState.Leaving);
        var perSlot = nodes.Length <= MaxFullReplicas ? nodes.Length : DirectoriesPerSlot;
        var seeds = nodes.Select(node => SeedOf(node.Id)).ToArray();
        var directories = new ushort[DigestSlots.Count * perSlot];
        var weights = new ulong[perSlot];
        for (var slot = 0; slot < DigestSlots.Count; slot++)
        {
            Choose(slot, seeds, weights, directories.AsSpan(slot * perSlot, perSlot));
        }

        return new SlotAssignment(nodes, directories, perSlot);
    }

    /// <summary>Indexes into <see cref="Nodes"/> of the directories of a slot, the heaviest first.</summary>
    public ReadOnlySpan<ushort> DirectoriesOf(int slot) => _directories.AsSpan(slot * _perSlot, _perSlot);

    /// <summary>The slots that a node is a directory for.</summary>
    public SlotSet SlotsOf(NodeId node)
    {
        var slots = new SlotSet();
        for (var index = 0; index < Nodes.Length; index++)
        {
            if (Nodes[index].Id != node)
            {
                continue;
            }

            for (var slot = 0; slot < DigestSlots.Count; slot++)
            {
                if (DirectoriesOf(slot).Contains((ushort)index))
                {
                    slots.Add(slot);
                }
            }
        }

        return slots;
    }

    /// <summary>Puts the nodes of the highest weights into <paramref name="chosen"/>, the highest first.</summary>
    private static void Choose(int slot, ulong[] seeds, Span<ulong> weights, Span<ushort> chosen)
    {
        var count = 0;
        for (var node = 0; node < seeds.Length; node++)
        {
            var weight = Mix(seeds[node] + ((ulong)slot * 0x9e3779b97f4a7c15));
            if (count == weights.Length && weight <= weights[^1])
            {
                continue;
            }

            var place = count < weights.Length ? count++ : count - 1;
            for (; place > 0 && weights[place - 1] < weight; place--)
            {
                weights[place] = weights[place - 1];
                chosen[place] = chosen[place - 1];
            }

            weights[place] = weight;
            chosen[place] = (ushort)node;
        }
    }

    private static ulong SeedOf(NodeId node) => BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(node.Value)));

    /// <summary>SplitMix64's finish: every bit of the result depends on every bit of the input.</summary>
    private static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
        value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
        return value ^ (value >> 31);
    }
}
