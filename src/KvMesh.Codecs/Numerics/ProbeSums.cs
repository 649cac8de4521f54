using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvMesh.Codecs.Numerics;

/// <summary>
/// Sums of products for measurements, in eight lanes that are added in one order: the same bits at every level of instructions, which encoded blocks
/// need, since they carry what was measured.
/// </summary>
internal static class ProbeSums
{
    /// <summary>Numbers whose sum is kept in single precision.</summary>
    private const int Run = 1024;

    /// <summary>Sum of products of two rows.</summary>
    public static float Dot(ReadOnlySpan<float> first, ReadOnlySpan<float> second)
    {
        var sum = Vector256<float>.Zero;
        var left = Lanes(first);
        var right = Lanes(second[..first.Length]);
        for (var index = 0; index < left.Length; index++)
        {
            sum += left[index] * right[index];
        }

        var total = Total(sum);
        for (var at = left.Length * Vector256<float>.Count; at < first.Length; at++)
        {
            total += first[at] * second[at];
        }

        return total;
    }

    /// <summary>Adds a multiple of a row to another.</summary>
    public static void AddScaled(Span<float> sums, ReadOnlySpan<float> row, float factor)
    {
        var lanes = MemoryMarshal.Cast<float, Vector256<float>>(sums);
        var added = Lanes(row[..sums.Length]);
        for (var index = 0; index < lanes.Length; index++)
        {
            lanes[index] += added[index] * factor;
        }

        for (var at = lanes.Length * Vector256<float>.Count; at < sums.Length; at++)
        {
            sums[at] += row[at] * factor;
        }
    }

    /// <summary>Adds the squares of how far a row lies from another.</summary>
    public static void AddSquares(Span<float> sums, ReadOnlySpan<float> row, ReadOnlySpan<float> means)
    {
        var lanes = MemoryMarshal.Cast<float, Vector256<float>>(sums);
        var left = Lanes(row[..sums.Length]);
        var right = Lanes(means[..sums.Length]);
        for (var index = 0; index < lanes.Length; index++)
        {
            var difference = left[index] - right[index];
            lanes[index] += difference * difference;
        }

        for (var at = lanes.Length * Vector256<float>.Count; at < sums.Length; at++)
        {
            var difference = row[at] - means[at];
            sums[at] += difference * difference;
        }
    }

    /// <summary>Σ original² and Σ (original − decoded)².</summary>
    public static (double Squares, double Errors) Compare(ReadOnlySpan<float> original, ReadOnlySpan<float> decoded)
    {
        double squares = 0, errors = 0;
        for (var at = 0; at < original.Length; at += Run)
        {
            var length = Math.Min(Run, original.Length - at);
            var (own, wrong) = CompareRun(original.Slice(at, length), decoded.Slice(at, length));
            squares += own;
            errors += wrong;
        }

        return (squares, errors);
    }

    private static (float Squares, float Errors) CompareRun(ReadOnlySpan<float> original, ReadOnlySpan<float> decoded)
    {
        var (squares, errors) = (Vector256<float>.Zero, Vector256<float>.Zero);
        var left = Lanes(original);
        var right = Lanes(decoded);
        for (var index = 0; index < left.Length; index++)
        {
            var difference = left[index] - right[index];
            squares += left[index] * left[index];
            errors += difference * difference;
        }

        var (own, wrong) = (Total(squares), Total(errors));
        for (var at = left.Length * Vector256<float>.Count; at < original.Length; at++)
        {
            var difference = original[at] - decoded[at];
            own += original[at] * original[at];
            wrong += difference * difference;
        }

        return (own, wrong);
    }

    /// <summary>In one order everywhere.</summary>
    private static float Total(Vector256<float> lanes)
    {
        var halves = lanes.GetLower() + lanes.GetUpper();
        return (halves[0] + halves[1]) + (halves[2] + halves[3]);
    }

    private static ReadOnlySpan<Vector256<float>> Lanes(ReadOnlySpan<float> row) => MemoryMarshal.Cast<float, Vector256<float>>(row);
}
