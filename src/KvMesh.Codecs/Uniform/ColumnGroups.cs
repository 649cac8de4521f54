using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Uniform;

/// <summary>Scales and zero points of many groups, as they are stored: side by side, or scales alone in a symmetric grid.</summary>
internal static class ColumnGroups
{
    private const int HalfOne = 0x3C00;
    private const int HalfExponent = 0x7C00;

    /// <summary>Stores what ranges need, and turns their extremes in place into what codes are computed with.</summary>
    /// <param name="grid">The grid.</param>
    /// <param name="leastOrZeros">Least numbers before, zero points after.</param>
    /// <param name="mostOrInverses">Greatest numbers before, one over the scale after.</param>
    /// <param name="stored">Where descriptions go.</param>
    /// <param name="level">Instructions to use.</param>
    /// <returns>False when a range is beyond what a half can say.</returns>
    public static bool Describe(in UniformGrid grid, Span<float> leastOrZeros, Span<float> mostOrInverses, Span<ushort> stored, SimdLevel level)
    {
        var words = grid.GroupBytes / sizeof(ushort);
        var group = 0;
        if (level >= SimdLevel.Vector256)
        {
            group = grid.IsSymmetric
                ? DescribeAroundZero(grid, leastOrZeros, mostOrInverses, stored)
                : DescribeFromLeast(grid, leastOrZeros, mostOrInverses, MemoryMarshal.Cast<ushort, int>(stored));
            if (group < 0)
            {
                return false;
            }
        }

        for (; group < leastOrZeros.Length; group++)
        {
            if (!GroupQuantizer.Describe(grid, leastOrZeros[group], mostOrInverses[group], stored[(group * words)..], out var scale, out var zero))
            {
                return false;
            }

            mostOrInverses[group] = 1 / scale;
            leastOrZeros[group] = zero;
        }

        return true;
    }

    /// <summary>Reads descriptions that <see cref="Describe"/> stored. Around zero there are no zero points, and none are written.</summary>
    public static void Read(in UniformGrid grid, ReadOnlySpan<ushort> groups, Span<float> scales, Span<float> zeros, SimdLevel level)
    {
        if (grid.IsSymmetric)
        {
            Fp16.ToSingle(groups[..scales.Length], scales, level);
            return;
        }

        var group = 0;
        if (level >= SimdLevel.Vector256)
        {
            var pairs = MemoryMarshal.Cast<ushort, int>(groups);
            for (; group + Vector256<int>.Count <= scales.Length; group += Vector256<int>.Count)
            {
                var pair = Vector256.Create(pairs.Slice(group, Vector256<int>.Count));
                Fp16.Widen(pair & Vector256.Create(0xFFFF)).CopyTo(scales[group..]);
                Fp16.Widen(pair >>> 16).CopyTo(zeros[group..]);
            }
        }

        for (; group < scales.Length; group++)
        {
            scales[group] = Fp16.ToSingle(groups[2 * group]);
            zeros[group] = Fp16.ToSingle(groups[(2 * group) + 1]);
        }
    }

    /// <summary>Eight groups at a time; how many were done, or -1.</summary>
    private static int DescribeFromLeast(in UniformGrid grid, Span<float> leastOrZeros, Span<float> mostOrInverses, Span<int> stored)
    {
        var steps = Vector256.Create((float)grid.Steps);
        var special = Vector256<int>.Zero;
        var group = 0;
        for (; group + Vector256<int>.Count <= leastOrZeros.Length; group += Vector256<int>.Count)
        {
            var least = Vector256.Create<float>(leastOrZeros.Slice(group, Vector256<int>.Count));
            var most = Vector256.Create<float>(mostOrInverses.Slice(group, Vector256<int>.Count));
            var scale = Scale(Avx.Divide(most - least, steps), ref special);
            var zero = Fp16.Round(least);
            special |= IsSpecial(zero);
            (scale | (zero << 16)).CopyTo(stored[group..]);
            Fp16.Widen(zero).CopyTo(leastOrZeros[group..]);
            Avx.Divide(Vector256.Create(1f), Fp16.Widen(scale)).CopyTo(mostOrInverses[group..]);
        }

        return special == Vector256<int>.Zero ? group : -1;
    }

    private static int DescribeAroundZero(in UniformGrid grid, Span<float> leastOrZeros, Span<float> mostOrInverses, Span<ushort> stored)
    {
        var bias = Vector256.Create((float)grid.Bias);
        var special = Vector256<int>.Zero;
        var group = 0;
        for (; group + Vector256<int>.Count <= leastOrZeros.Length; group += Vector256<int>.Count)
        {
            var least = Vector256.Abs(Vector256.Create<float>(leastOrZeros.Slice(group, Vector256<int>.Count)));
            var most = Vector256.Abs(Vector256.Create<float>(mostOrInverses.Slice(group, Vector256<int>.Count)));
            var scale = Scale(Avx.Divide(Avx.Max(least, most), bias), ref special);
            Lanes.ToWords(scale, scale).GetLower().CopyTo(stored[group..]);
            Vector256<float>.Zero.CopyTo(leastOrZeros[group..]);
            Avx.Divide(Vector256.Create(1f), Fp16.Widen(scale)).CopyTo(mostOrInverses[group..]);
        }

        return special == Vector256<int>.Zero ? group : -1;
    }

    /// <summary>Steps as halves; 1 where a range is nothing.</summary>
    private static Vector256<int> Scale(Vector256<float> step, ref Vector256<int> special)
    {
        var scale = Fp16.Round(step);
        special |= IsSpecial(scale);
        return Avx2.BlendVariable(scale, Vector256.Create(HalfOne), Avx2.CompareEqual(scale, Vector256<int>.Zero));
    }

    private static Vector256<int> IsSpecial(Vector256<int> half)
    {
        var exponent = Vector256.Create(HalfExponent);
        return Avx2.CompareEqual(half & exponent, exponent);
    }
}
