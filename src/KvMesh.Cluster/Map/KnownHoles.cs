using System.Numerics;
using System.Runtime.InteropServices;
using KvMesh.Protocol;

namespace KvMesh.Cluster.Map;

/// <summary>
/// Blocks that readers of this node lately asked for and nobody had, among them those in the middle of chains of which others hold what comes before and
/// behind: a probe of a few blocks leaps over such a hole, again and again. A hint of bounded size: the latest takes the place of another, and whoever finds
/// a block here asks about that one block before it is believed or not. Any thread, without locks.
/// </summary>
internal sealed class KnownHoles
{
    /// <summary>A table of 8 KiB, which stays near to the processor.</summary>
    private const int CapacityBits = 10;

    /// <summary>2⁶⁴ ÷ the golden ratio: spreads numbers that are alike.</summary>
    private const ulong Spread = 0x9E37_79B9_7F4A_7C15;

    private readonly ulong[] _tags = new ulong[1 << CapacityBits];
    private int _count;

    /// <summary>Whether there is anything to look for.</summary>
    public bool IsEmpty => Volatile.Read(ref _count) == 0;

    /// <summary>Nobody had the block. True: that is news.</summary>
    public bool Note(uint tenant, ReadOnlySpan<byte> hash)
    {
        var tag = TagOf(tenant, hash);
        var before = Interlocked.Exchange(ref PlaceOf(tag), tag);
        if (before == 0)
        {
            Interlocked.Increment(ref _count);
        }

        return before != tag;
    }

    /// <summary>Somebody has the block by now.</summary>
    public void Forget(uint tenant, ReadOnlySpan<byte> hash)
    {
        var tag = TagOf(tenant, hash);
        if (Interlocked.CompareExchange(ref PlaceOf(tag), 0, tag) == tag)
        {
            Interlocked.Decrement(ref _count);
        }
    }

    /// <summary>The first of a chain's blocks from <paramref name="from"/> on that may be a hole; the count of blocks when there is none.</summary>
    /// <param name="hashes">Chain hashes in order.</param>
    public int Next(uint tenant, ReadOnlySpan<byte> hashes, int from)
    {
        var count = hashes.Length / Limits.ChainHashBytes;
        for (var block = from; block < count; block++)
        {
            var tag = TagOf(tenant, hashes.Slice(block * Limits.ChainHashBytes, Limits.ChainHashBytes));
            if (Volatile.Read(ref PlaceOf(tag)) == tag)
            {
                return block;
            }
        }

        return count;
    }

    private ref ulong PlaceOf(ulong tag) => ref _tags[(tag * Spread) >> (64 - CapacityBits)];

    /// <summary>Both ends of a hash tell blocks apart. Never 0, which stands for none.</summary>
    private static ulong TagOf(uint tenant, ReadOnlySpan<byte> hash)
    {
        var ends = MemoryMarshal.Read<ulong>(hash) ^ BitOperations.RotateLeft(MemoryMarshal.Read<ulong>(hash[^sizeof(ulong)..]), 32);
        return Math.Max(1, ends ^ (tenant * Spread));
    }
}
