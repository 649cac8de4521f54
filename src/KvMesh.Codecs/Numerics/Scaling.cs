using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvMesh.Codecs.Numerics;

/// <summary>Products, differences and sums of rows.</summary>
internal static class Scaling
{
    private const int SumLanes = 8;

    public static void Multiply(Span<float> values, float factor, SimdLevel level)
    {
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var value = ref MemoryMarshal.GetReference(values);
            for (; at + Vector256<float>.Count <= values.Length; at += Vector256<float>.Count)
            {
                (Vector256.LoadUnsafe(ref value, (nuint)at) * factor).StoreUnsafe(ref value, (nuint)at);
            }
        }

        for (; at < values.Length; at++)
        {
            values[at] *= factor;
        }
    }

    public static void Multiply(Span<float> values, ReadOnlySpan<float> factors, SimdLevel level)
    {
        factors = factors[..values.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<float>.Count <= values.Length; at += Vector256<float>.Count)
            {
                (Vector256.Create<float>(values[at..]) * Vector256.Create(factors[at..])).CopyTo(values[at..]);
            }
        }

        for (; at < values.Length; at++)
        {
            values[at] *= factors[at];
        }
    }

    /// <summary>Adds one number to all.</summary>
    public static void Shift(Span<float> values, float distance, SimdLevel level)
    {
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<float>.Count <= values.Length; at += Vector256<float>.Count)
            {
                (Vector256.Create<float>(values[at..]) + Vector256.Create(distance)).CopyTo(values[at..]);
            }
        }

        for (; at < values.Length; at++)
        {
            values[at] += distance;
        }
    }

    public static void Subtract(Span<float> values, ReadOnlySpan<float> others, SimdLevel level)
    {
        others = others[..values.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<float>.Count <= values.Length; at += Vector256<float>.Count)
            {
                (Vector256.Create<float>(values[at..]) - Vector256.Create(others[at..])).CopyTo(values[at..]);
            }
        }

        for (; at < values.Length; at++)
        {
            values[at] -= others[at];
        }
    }

    public static void Add(Span<float> values, ReadOnlySpan<float> others, SimdLevel level)
    {
        others = others[..values.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<float>.Count <= values.Length; at += Vector256<float>.Count)
            {
                (Vector256.Create<float>(values[at..]) + Vector256.Create(others[at..])).CopyTo(values[at..]);
            }
        }

        for (; at < values.Length; at++)
        {
            values[at] += others[at];
        }
    }

    /// <summary>Adds a multiple of other numbers.</summary>
    public static void AddScaled(Span<float> values, ReadOnlySpan<float> others, float factor, SimdLevel level)
    {
        others = others[..values.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<float>.Count <= values.Length; at += Vector256<float>.Count)
            {
                (Vector256.Create<float>(values[at..]) + (Vector256.Create(others[at..]) * factor)).CopyTo(values[at..]);
            }
        }

        for (; at < values.Length; at++)
        {
            values[at] += others[at] * factor;
        }
    }

    /// <summary>The sum of squares, in eight lanes at every level.</summary>
    public static float SumOfSquares(ReadOnlySpan<float> values, SimdLevel level) => Dot(values, values, level);

    /// <summary>The sum of products, in eight lanes at every level.</summary>
    public static float Dot(ReadOnlySpan<float> values, ReadOnlySpan<float> others, SimdLevel level)
    {
        others = others[..values.Length];
        Span<float> lanes = stackalloc float[SumLanes];
        lanes.Clear();
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            var sum = Vector256<float>.Zero;
            for (; at + SumLanes <= values.Length; at += SumLanes)
            {
                sum += Vector256.Create(values[at..]) * Vector256.Create(others[at..]);
            }

            sum.CopyTo(lanes);
        }

        for (; at < values.Length; at++)
        {
            lanes[at % SumLanes] += values[at] * others[at];
        }

        return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    }
}
