using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KvMesh.Worker.Model.Numerics;

/// <summary>
/// What is computed along a row outside of products. Sums run in sixteen lanes that are added in one order, whatever the width of registers
/// is, so that a row gives the same bits on every processor with fused multiply-add.
/// </summary>
internal static unsafe class Lanes16
{
    private const int Width = 16;

    /// <summary>The least multiple of sixteen that holds so many numbers.</summary>
    public static int Padded(int count) => (count + Width - 1) / Width * Width;

    /// <summary>row × weights ÷ √(mean of squares + epsilon). The count is a multiple of sixteen.</summary>
    public static void RmsNorm(float* row, float* weights, float* result, int count, float epsilon)
    {
        var sums = Vector512<float>.Zero;
        for (var at = 0; at < count; at += Width)
        {
            var values = Vector512.Load(row + at);
            sums = Vector512.FusedMultiplyAdd(values, values, sums);
        }

        var scale = Vector512.Create(1 / MathF.Sqrt((Sum(sums) / count) + epsilon));
        for (var at = 0; at < count; at += Width)
        {
            (Vector512.Load(row + at) * scale * Vector512.Load(weights + at)).Store(result + at);
        }
    }

    /// <summary>gate ÷ (1 + e^-gate) × up. The count is a multiple of sixteen.</summary>
    public static void SwiGlu(float* gate, float* up, float* result, int count)
    {
        for (var at = 0; at < count; at += Width)
        {
            var value = Vector512.Load(gate + at);
            (value / (Vector512<float>.One + Vector512.Exp(-value)) * Vector512.Load(up + at)).Store(result + at);
        }
    }

    /// <summary>row + other, in place. The count is a multiple of sixteen.</summary>
    public static void Add(float* row, float* other, int count)
    {
        for (var at = 0; at < count; at += Width)
        {
            (Vector512.Load(row + at) + Vector512.Load(other + at)).Store(row + at);
        }
    }

    /// <summary>
    /// e^(row - its largest), in place, and one over their sum. There is memory for a multiple of sixteen; what lies behind the count may be anything
    /// and becomes 0.
    /// </summary>
    public static float Exponentials(float* row, int count)
    {
        Cut(row, count, float.NegativeInfinity);
        var padded = Padded(count);
        var largest = Vector512.Load(row);
        for (var at = Width; at < padded; at += Width)
        {
            largest = Vector512.Max(largest, Vector512.Load(row + at));
        }

        var top = Vector512.Create(Max(largest));
        for (var at = 0; at < padded; at += Width)
        {
            Vector512.Exp(Vector512.Load(row + at) - top).Store(row + at);
        }

        Cut(row, count, 0);
        var sums = Vector512<float>.Zero;
        for (var at = 0; at < padded; at += Width)
        {
            sums += Vector512.Load(row + at);
        }

        return 1 / Sum(sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Cut(float* row, int count, float value)
    {
        for (var at = count; at < Padded(count); at++)
        {
            row[at] = value;
        }
    }

    private static float Sum(Vector512<float> lanes)
    {
        var eight = lanes.GetLower() + lanes.GetUpper();
        var four = eight.GetLower() + eight.GetUpper();
        return (four[0] + four[2]) + (four[1] + four[3]);
    }

    private static float Max(Vector512<float> lanes)
    {
        var eight = Vector256.Max(lanes.GetLower(), lanes.GetUpper());
        var four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        return MathF.Max(MathF.Max(four[0], four[2]), MathF.Max(four[1], four[3]));
    }
}
