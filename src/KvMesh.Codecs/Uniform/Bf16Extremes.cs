using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Uniform;

/// <summary>
/// Least and greatest bfloat16 of groups, found among integers of the same order, which <see cref="ToSingle(ReadOnlySpan{short}, Span{float})"/> turns
/// back. AVX2 and AVX-512; rows divide into vectors.
/// </summary>
internal static class Bf16Extremes
{
    /// <summary>Extremes of all groups of consecutive channels of some rows; a group has a multiple of 16 elements.</summary>
    public static void OfRows(in StripSource source, int firstRow, int rows, int groupLength, Span<short> least, Span<short> most, SimdLevel level)
    {
        var at = 0;
        for (var row = firstRow; row < firstRow + rows; row++)
        {
            var words = MemoryMarshal.Cast<byte, ushort>(source.Row(row));
            for (var first = 0; first < words.Length; first += groupLength, at++)
            {
                ref var group = ref MemoryMarshal.GetReference(words.Slice(first, groupLength));
                if (level == SimdLevel.Vector512 && groupLength % Vector512<ushort>.Count == 0)
                {
                    OfGroup512(ref group, groupLength, out least[at], out most[at]);
                }
                else
                {
                    OfGroup256(ref group, groupLength, out least[at], out most[at]);
                }
            }
        }
    }

    /// <summary>Extremes of each channel over some rows; as many channels as <paramref name="least"/> has elements, a multiple of 16.</summary>
    public static void OfColumns(in StripSource source, int firstRow, int rows, Span<short> least, Span<short> most, SimdLevel level)
    {
        ref var start = ref MemoryMarshal.GetReference(MemoryMarshal.Cast<byte, ushort>(source.Row(firstRow)));
        _ = source.Row(firstRow + rows - 1);
        var stride = (nint)source.Stride;
        var channel = 0;
        if (level == SimdLevel.Vector512)
        {
            for (; channel + Vector512<ushort>.Count <= least.Length; channel += Vector512<ushort>.Count)
            {
                ref var column = ref Unsafe.Add(ref start, channel);
                var low = Sortable(Vector512.LoadUnsafe(ref column));
                var high = low;
                for (var row = 1; row < rows; row++)
                {
                    column = ref Unsafe.AddByteOffset(ref column, stride);
                    var values = Sortable(Vector512.LoadUnsafe(ref column));
                    low = Avx512BW.Min(low, values);
                    high = Avx512BW.Max(high, values);
                }

                low.CopyTo(least[channel..]);
                high.CopyTo(most[channel..]);
            }
        }

        for (; channel < least.Length; channel += Vector256<ushort>.Count)
        {
            ref var column = ref Unsafe.Add(ref start, channel);
            var low = Sortable(Vector256.LoadUnsafe(ref column));
            var high = low;
            for (var row = 1; row < rows; row++)
            {
                column = ref Unsafe.AddByteOffset(ref column, stride);
                var values = Sortable(Vector256.LoadUnsafe(ref column));
                low = Avx2.Min(low, values);
                high = Avx2.Max(high, values);
            }

            low.CopyTo(least[channel..]);
            high.CopyTo(most[channel..]);
        }
    }

    /// <summary>The numbers that sortable integers stand for; zeros of both signs are the positive one.</summary>
    public static void ToSingle(ReadOnlySpan<short> sorted, Span<float> values)
    {
        var at = 0;
        for (; at + Vector128<short>.Count <= sorted.Length; at += Vector128<short>.Count)
        {
            var integers = Vector128.Create(sorted.Slice(at, Vector128<short>.Count));
            var words = (integers ^ ((integers >> 15) & Vector128.Create((short)0x7FFF))).AsUInt16();
            (Bf16.Widen(words) + Vector256<float>.Zero).CopyTo(values[at..]);
        }

        for (; at < sorted.Length; at++)
        {
            values[at] = Bf16.ToSingle((ushort)(sorted[at] ^ ((sorted[at] >> 15) & 0x7FFF))) + 0f;
        }
    }

    private static void OfGroup256(ref ushort group, int length, out short least, out short most)
    {
        var low = Sortable(Vector256.LoadUnsafe(ref group));
        var high = low;
        for (var at = Vector256<ushort>.Count; at < length; at += Vector256<ushort>.Count)
        {
            var values = Sortable(Vector256.LoadUnsafe(ref group, (nuint)at));
            low = Avx2.Min(low, values);
            high = Avx2.Max(high, values);
        }

        Across(low, high, out least, out most);
    }

    private static void OfGroup512(ref ushort group, int length, out short least, out short most)
    {
        var low = Sortable(Vector512.LoadUnsafe(ref group));
        var high = low;
        for (var at = Vector512<ushort>.Count; at < length; at += Vector512<ushort>.Count)
        {
            var values = Sortable(Vector512.LoadUnsafe(ref group, (nuint)at));
            low = Avx512BW.Min(low, values);
            high = Avx512BW.Max(high, values);
        }

        Across(Avx2.Min(low.GetLower(), low.GetUpper()), Avx2.Max(high.GetLower(), high.GetUpper()), out least, out most);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Across(Vector256<short> low, Vector256<short> high, out short least, out short most)
    {
        // The processor has a least of eight words for unsigned ones: the order is turned into theirs, and upside down for the most.
        const ushort Turn = 0x8000, UpsideDown = 0x7FFF;
        var halfLow = Sse2.Min(low.GetLower(), low.GetUpper()).AsUInt16() ^ Vector128.Create(Turn);
        var halfHigh = Sse2.Max(high.GetLower(), high.GetUpper()).AsUInt16() ^ Vector128.Create(UpsideDown);
        least = (short)(Sse41.MinHorizontal(halfLow).ToScalar() ^ Turn);
        most = (short)(Sse41.MinHorizontal(halfHigh).ToScalar() ^ UpsideDown);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Sortable(Vector256<ushort> words)
    {
        var signed = words.AsInt16();
        return signed ^ (Avx2.ShiftRightArithmetic(signed, 15) & Vector256.Create((short)0x7FFF));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Sortable(Vector512<ushort> words)
    {
        var signed = words.AsInt16();
        return signed ^ (Avx512BW.ShiftRightArithmetic(signed, 15) & Vector512.Create((short)0x7FFF));
    }
}
