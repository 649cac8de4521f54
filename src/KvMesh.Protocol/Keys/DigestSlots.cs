using System.Numerics;

namespace KvMesh.Protocol.Keys;

/// <summary>The parts into which the digests of a cluster fall: what a directory node is responsible for is a set of them.</summary>
public static class DigestSlots
{
    /// <summary>Slots: enough that each of 1,000 nodes has three on average, few enough that a set of them is 128 bytes.</summary>
    public const int Count = 1024;

    private const int SlotBits = 10;

    /// <summary>Slot of a digest, from its highest bits.</summary>
    public static int Of(in KeyDigest digest) => (int)(digest.Low >> (64 - SlotBits));
}

/// <summary>A set of slots. Bit i mod 8 of byte i ÷ 8 stands for slot i when it is sent. Not safe for writers beside readers.</summary>
public sealed class SlotSet : IEquatable<SlotSet>
{
    /// <summary>Bytes of the set on the wire.</summary>
    public const int Bytes = DigestSlots.Count / 8;

    private readonly byte[] _bits = new byte[Bytes];

    public SlotSet()
    {
    }

    /// <summary>Reads <see cref="Bytes"/> bytes.</summary>
    public SlotSet(ReadOnlySpan<byte> bits) => bits[..Bytes].CopyTo(_bits);

    /// <summary>Every slot.</summary>
    public static SlotSet All()
    {
        var all = new SlotSet();
        all._bits.AsSpan().Fill(0xff);
        return all;
    }

    public ReadOnlySpan<byte> Bits => _bits;

    public int Count
    {
        get
        {
            var count = 0;
            foreach (var bits in _bits)
            {
                count += BitOperations.PopCount(bits);
            }

            return count;
        }
    }

    public bool IsEmpty => !_bits.AsSpan().ContainsAnyExcept((byte)0);

    public bool IsFull => !_bits.AsSpan().ContainsAnyExcept((byte)0xff);

    public bool Contains(int slot) => (_bits[slot >> 3] >> (slot & 7) & 1) != 0;

    public void Add(int slot) => _bits[slot >> 3] |= (byte)(1 << (slot & 7));

    /// <summary>What is in this set and not in the other.</summary>
    public SlotSet Except(SlotSet other)
    {
        var rest = new SlotSet();
        for (var index = 0; index < Bytes; index++)
        {
            rest._bits[index] = (byte)(_bits[index] & ~other._bits[index]);
        }

        return rest;
    }

    /// <summary>What is in either set.</summary>
    public SlotSet Union(SlotSet other)
    {
        var both = new SlotSet();
        for (var index = 0; index < Bytes; index++)
        {
            both._bits[index] = (byte)(_bits[index] | other._bits[index]);
        }

        return both;
    }

    public bool Equals(SlotSet? other) => other is not null && _bits.AsSpan().SequenceEqual(other._bits);

    public override bool Equals(object? obj) => Equals(obj as SlotSet);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.AddBytes(_bits);
        return hash.ToHashCode();
    }
}
