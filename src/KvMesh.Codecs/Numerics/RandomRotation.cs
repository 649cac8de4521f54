using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Blocks;

namespace KvMesh.Codecs.Numerics;

/// <summary>
/// Turns rows so that no channel stands out: signs drawn from a seed, then the Hadamard transform, which spreads every number over all of them.
/// Lengths stay. Additions in one order at every level.
/// </summary>
internal static class RandomRotation
{
    /// <summary>Whether rows of so many channels can be turned: a power of two from 8 on.</summary>
    public static bool Fits(int channels) => channels >= 8 && int.IsPow2(channels);

    /// <summary>The factor of each channel: its sign over the root of their number.</summary>
    public static void FillFactors(uint seed, Span<float> factors)
    {
        var random = new ProbeRandom(seed);
        var size = 1 / MathF.Sqrt(factors.Length);
        ulong bits = 0;
        for (var channel = 0; channel < factors.Length; channel++)
        {
            bits = channel % 64 == 0 ? random.NextBits() : bits >> 1;
            factors[channel] = (bits & 1) == 0 ? size : -size;
        }
    }

    public static void TurnForth(Span<float> row, ReadOnlySpan<float> factors, SimdLevel level)
    {
        Scaling.Multiply(row, factors, level);
        Transform(row, level);
    }

    public static void TurnBack(Span<float> row, ReadOnlySpan<float> factors, SimdLevel level)
    {
        Transform(row, level);
        Scaling.Multiply(row, factors, level);
    }

    /// <summary>Sums and differences of pairs 1, 2, 4 … apart.</summary>
    private static void Transform(Span<float> row, SimdLevel level)
    {
        var distance = 1;
        if (level >= SimdLevel.Vector256)
        {
            TransformVectors(row);
            distance = Vector256<float>.Count;
        }

        for (; distance < row.Length; distance *= 2)
        {
            for (var first = 0; first < row.Length; first += 2 * distance)
            {
                Pairs(row.Slice(first, distance), row.Slice(first + distance, distance), level);
            }
        }
    }

    private static void Pairs(Span<float> left, Span<float> right, SimdLevel level)
    {
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var first = ref MemoryMarshal.GetReference(left);
            ref var second = ref MemoryMarshal.GetReference(right);
            for (; at + Vector256<float>.Count <= left.Length; at += Vector256<float>.Count)
            {
                var x = Vector256.LoadUnsafe(ref first, (nuint)at);
                var y = Vector256.LoadUnsafe(ref second, (nuint)at);
                (x + y).StoreUnsafe(ref first, (nuint)at);
                (x - y).StoreUnsafe(ref second, (nuint)at);
            }
        }

        for (; at < left.Length; at++)
        {
            (left[at], right[at]) = (left[at] + right[at], left[at] - right[at]);
        }
    }

    /// <summary>The first three rounds, of pairs within a vector: the other of each pair plus itself, the second with its sign changed.</summary>
    private static void TransformVectors(Span<float> row)
    {
        var one = Vector256.Create(0f, -0f, 0f, -0f, 0f, -0f, 0f, -0f);
        var two = Vector256.Create(0f, 0f, -0f, -0f, 0f, 0f, -0f, -0f);
        var four = Vector256.Create(0f, 0f, 0f, 0f, -0f, -0f, -0f, -0f);
        ref var value = ref MemoryMarshal.GetReference(row);
        for (var at = 0; at + Vector256<float>.Count <= row.Length; at += Vector256<float>.Count)
        {
            var x = Vector256.LoadUnsafe(ref value, (nuint)at);
            x = Avx.Permute(x, 0b10_11_00_01) + (x ^ one);
            x = Avx.Permute(x, 0b01_00_11_10) + (x ^ two);
            x = Avx.Permute2x128(x, x, 1) + (x ^ four);
            x.StoreUnsafe(ref value, (nuint)at);
        }
    }
}
