using System.Numerics;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Numerics;

/// <summary>Looks for infinities and what is no number among keys and values.</summary>
public static class FiniteNumbers
{
    /// <summary>Whether every number of a block is one; bytes without a numeric meaning count as such.</summary>
    /// <param name="geometry">Where what lies.</param>
    /// <param name="block">At least the bytes of the geometry.</param>
    public static bool AreAllIn(BlockGeometry geometry, ReadOnlySpan<byte> block)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        foreach (ref readonly var plane in geometry.Planes.AsSpan())
        {
            if (plane.Shape.Element != KvElement.Opaque && !AreAllIn(plane, plane.Shape.IsPerToken ? geometry.Region.TokenCount : 1, block))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether every element is a finite number.</summary>
    public static bool AreAll(KvElement element, ReadOnlySpan<byte> elements) => element switch
    {
        KvElement.BFloat16 => HasNone(MemoryMarshal.Cast<byte, ushort>(elements), (ushort)0x7F80),
        KvElement.Float16 => HasNone(MemoryMarshal.Cast<byte, ushort>(elements), (ushort)0x7C00),
        KvElement.Fp8E4M3 => HasNone(elements, (byte)0x7F),
        KvElement.Fp8E5M2 => HasNone(elements, (byte)0x7C),
        _ => true,
    };

    private static bool AreAllIn(in PlaneGeometry plane, int tokens, ReadOnlySpan<byte> block)
    {
        var rowBytes = plane.Shape.Channels * plane.Shape.Element.Bytes();
        var isJoined = plane.HeadStride == rowBytes && plane.Shape.TailBytes == 0;
        for (var token = 0; token < tokens; token++)
        {
            for (var head = 0; head < (isJoined ? 1 : plane.HeadCount); head++)
            {
                if (!AreAll(plane.Shape.Element, block.Slice(plane.RowOffset(head, token), isJoined ? rowBytes * plane.HeadCount : rowBytes)))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Whether none has all bits of the exponent, and of what else makes a value that is none.</summary>
    private static bool HasNone<T>(ReadOnlySpan<T> values, T bits)
        where T : unmanaged, IBinaryInteger<T>
    {
        var mask = new Vector<T>(bits);
        var vectors = MemoryMarshal.Cast<T, Vector<T>>(values);
        foreach (ref readonly var vector in vectors)
        {
            if (Vector.EqualsAny(vector & mask, mask))
            {
                return false;
            }
        }

        foreach (var value in values[(vectors.Length * Vector<T>.Count)..])
        {
            if ((value & bits) == bits)
            {
                return false;
            }
        }

        return true;
    }
}
