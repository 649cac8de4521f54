using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.Numerics;

/// <summary>Moves between lane widths that keep the order of elements. For AVX2 and AVX-512 paths only.</summary>
internal static class Lanes
{
    private static readonly Vector256<int> Order256 = Vector256.Create(0, 4, 1, 5, 2, 6, 3, 7);
    private static readonly Vector512<int> Order512 = Vector512.Create(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);

    private static readonly Vector512<ushort> UpperOrder = Vector512.Create(
        1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, (ushort)63);

    /// <summary>Thirty-two integers of 0 to 255 as bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> ToBytes(Vector256<int> a, Vector256<int> b, Vector256<int> c, Vector256<int> d) =>
        InOrder(Avx2.PackUnsignedSaturate(Avx2.PackSignedSaturate(a, b), Avx2.PackSignedSaturate(c, d)));

    /// <summary>Thirty-two integers of -128 to 127 as signed bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> ToSignedBytes(Vector256<int> a, Vector256<int> b, Vector256<int> c, Vector256<int> d) =>
        InOrder(Avx2.PackSignedSaturate(Avx2.PackSignedSaturate(a, b), Avx2.PackSignedSaturate(c, d)).AsByte()).AsSByte();

    /// <summary>Bytes of four vectors of integers that were packed twice, in the order of the integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> InOrder(Vector256<byte> packed) => Avx2.PermuteVar8x32(packed.AsInt32(), Order256).AsByte();

    /// <summary>Bytes of four vectors of integers that were packed twice, in the order of the integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> InOrder(Vector512<byte> packed) => Avx512F.PermuteVar16x32(packed.AsInt32(), Order512).AsByte();

    /// <summary>Sixteen integers of 0 to 65,535 as words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ushort> ToWords(Vector256<int> a, Vector256<int> b) =>
        Avx2.Permute4x64(Avx2.PackUnsignedSaturate(a, b).AsInt64(), 0b11_01_10_00).AsUInt16();

    /// <summary>The upper halves of thirty-two integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<ushort> UpperWords(Vector512<int> a, Vector512<int> b) =>
        Avx512BW.PermuteVar32x16x2(a.AsUInt16(), UpperOrder, b.AsUInt16());
}
