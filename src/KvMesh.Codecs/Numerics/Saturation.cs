using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Numerics;

/// <summary>Makes the largest number of what rounding made infinite: where all was finite before, no codec may make anything else.</summary>
internal static class Saturation
{
    private const ushort Magnitude = 0x7FFF;

    /// <summary>Formats of 8 bits saturate as they are rounded.</summary>
    public static void Apply(KvElement element, Span<byte> row, SimdLevel level)
    {
        if (element is KvElement.BFloat16 or KvElement.Float16)
        {
            Words(MemoryMarshal.Cast<byte, ushort>(row), element == KvElement.BFloat16 ? (ushort)0x7F80 : (ushort)0x7C00, level);
        }
    }

    /// <summary>The word before that of an infinity is the largest number of its sign.</summary>
    private static void Words(Span<ushort> row, ushort infinity, SimdLevel level)
    {
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var word = ref MemoryMarshal.GetReference(row);
            for (; at + Vector256<ushort>.Count <= row.Length; at += Vector256<ushort>.Count)
            {
                var words = Vector256.LoadUnsafe(ref word, (nuint)at);
                var isInfinite = Vector256.Equals(words & Vector256.Create(Magnitude), Vector256.Create(infinity));
                (words + isInfinite).StoreUnsafe(ref word, (nuint)at);
            }
        }

        for (; at < row.Length; at++)
        {
            row[at] -= (row[at] & Magnitude) == infinity ? (ushort)1 : (ushort)0;
        }
    }
}
