using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.Numerics;

/// <summary>Least and greatest of finite numbers. Zeros of both signs count as one number; which comes out is the same at every level.</summary>
internal static class Extremes
{
    public static (float Least, float Most) OfRow(ReadOnlySpan<float> row, SimdLevel level)
    {
        float least = row[0], most = row[0];
        var at = 0;
        if (level >= SimdLevel.Vector256 && row.Length >= Vector256<float>.Count)
        {
            ref var read = ref MemoryMarshal.GetReference(row);
            var low = Vector256.LoadUnsafe(ref read);
            var high = low;
            for (at = Vector256<float>.Count; at + Vector256<float>.Count <= row.Length; at += Vector256<float>.Count)
            {
                var values = Vector256.LoadUnsafe(ref read, (nuint)at);
                low = Avx.Min(low, values);
                high = Avx.Max(high, values);
            }

            var halfLow = Sse.Min(low.GetLower(), low.GetUpper());
            var halfHigh = Sse.Max(high.GetLower(), high.GetUpper());
            halfLow = Sse.Min(halfLow, Sse.MoveHighToLow(halfLow, halfLow));
            halfHigh = Sse.Max(halfHigh, Sse.MoveHighToLow(halfHigh, halfHigh));
            least = Sse.Min(halfLow, Sse.Shuffle(halfLow, halfLow, 1)).ToScalar();
            most = Sse.Max(halfHigh, Sse.Shuffle(halfHigh, halfHigh, 1)).ToScalar();
        }

        for (; at < row.Length; at++)
        {
            least = row[at] < least ? row[at] : least;
            most = row[at] > most ? row[at] : most;
        }

        // Which zero a comparison keeps depends on the order: adding zero makes both the positive one.
        return (least + 0f, most + 0f);
    }

    /// <summary>Extremes of each column of rows that lie one after the other.</summary>
    public static void OfColumns(ReadOnlySpan<float> rows, int channels, Span<float> least, Span<float> most, SimdLevel level)
    {
        var channel = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(rows);
            for (; channel + (2 * Vector256<float>.Count) <= channels; channel += 2 * Vector256<float>.Count)
            {
                var low0 = Vector256.LoadUnsafe(ref read, (nuint)channel);
                var low1 = Vector256.LoadUnsafe(ref read, (nuint)(channel + Vector256<float>.Count));
                var high0 = low0;
                var high1 = low1;
                for (var at = channel + channels; at < rows.Length; at += channels)
                {
                    var values0 = Vector256.LoadUnsafe(ref read, (nuint)at);
                    var values1 = Vector256.LoadUnsafe(ref read, (nuint)(at + Vector256<float>.Count));
                    low0 = Avx.Min(low0, values0);
                    low1 = Avx.Min(low1, values1);
                    high0 = Avx.Max(high0, values0);
                    high1 = Avx.Max(high1, values1);
                }

                (low0 + Vector256<float>.Zero).CopyTo(least[channel..]);
                (low1 + Vector256<float>.Zero).CopyTo(least[(channel + Vector256<float>.Count)..]);
                (high0 + Vector256<float>.Zero).CopyTo(most[channel..]);
                (high1 + Vector256<float>.Zero).CopyTo(most[(channel + Vector256<float>.Count)..]);
            }
        }

        for (; channel < channels; channel++)
        {
            float low = rows[channel], high = rows[channel];
            for (var at = channel + channels; at < rows.Length; at += channels)
            {
                low = rows[at] < low ? rows[at] : low;
                high = rows[at] > high ? rows[at] : high;
            }

            least[channel] = low + 0f;
            most[channel] = high + 0f;
        }
    }
}
