using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Map;

/// <summary>
/// One block at one node, in 16 bytes. Of the digest the slot is implied by the table and 96 bits are kept: two blocks that agree in all
/// of them would be taken for one, which is a false hit and nothing worse.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal struct MapEntry
{
    public ulong High;
    public uint Low;

    /// <summary>A <see cref="MapLocation"/>; 0: the entry is free.</summary>
    public uint Location;

    /// <summary>Bits of a digest that choose the place in the table of its slot; they lie below those that choose the slot.</summary>
    public static uint LowOf(in KeyDigest digest) => (uint)(digest.Low >> 22);
}

/// <summary>What is known of a block at one node: u16 number of the node, 3 bits mark of the snapshot, 2 bits tiers, 8 bits size.</summary>
internal readonly record struct MapLocation(uint Word)
{
    public const int HostTier = 1;
    public const int DiskTier = 2;

    /// <summary>Marks go round: as many snapshots may be broken off in a row before something old passes for new.</summary>
    public const int MarkCount = 8;

    private const int MarkShift = 16;
    private const int TierShift = 19;
    private const int SizeShift = 21;

    public MapLocation(ushort node, int mark, int tiers, long payloadBytes)
        : this(node | ((uint)mark << MarkShift) | ((uint)(tiers & 3) << TierShift) | ((uint)SizeClassOf(payloadBytes) << SizeShift)) => Debug.Assert(node != 0, "0 is no node");

    /// <summary>Number of the node; never 0.</summary>
    public ushort Node => (ushort)Word;

    public int Mark => (int)(Word >> MarkShift) & (MarkCount - 1);

    /// <summary>Of the node itself; 0: only a worker that is connected to it has the block.</summary>
    public int Tiers => (int)(Word >> TierShift) & 3;

    /// <summary>Whether the node has a copy that outlives its workers.</summary>
    public bool IsCopy => Tiers != 0;

    public bool IsInHost => (Tiers & HostTier) != 0;

    /// <summary>Bytes of the payload, at most an eighth too few.</summary>
    public long ApproximateBytes => BytesOf((int)(Word >> SizeShift) & 0xff);

    /// <summary>The exponent and three more bits, as in a short floating-point number.</summary>
    private static int SizeClassOf(long bytes)
    {
        if (bytes < 8)
        {
            return (int)Math.Max(bytes, 0);
        }

        var exponent = BitOperations.Log2((ulong)bytes);
        return Math.Min(0xff, ((exponent - 2) << 3) | (int)((bytes >> (exponent - 3)) & 7));
    }

    private static long BytesOf(int sizeClass) => sizeClass < 8 ? sizeClass : (8L | (uint)(sizeClass & 7)) << ((sizeClass >> 3) - 1);
}
