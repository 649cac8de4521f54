using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvMesh.Codecs.Numerics;

/// <summary>Means and spreads of the columns of a matrix. Each column is summed in the order of its rows, so that all levels agree bit for bit.</summary>
internal static class ColumnMoments
{
    /// <summary>The mean of each column.</summary>
    public static void Means(ReadOnlySpan<float> rows, Span<float> means, SimdLevel level)
    {
        var count = (float)(rows.Length / means.Length);
        means.Clear();
        var channels = means.Length;
        var channel = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(rows);
            for (; channel + Vector256<float>.Count <= channels; channel += Vector256<float>.Count)
            {
                var sum = Vector256<float>.Zero;
                for (var at = channel; at < rows.Length; at += channels)
                {
                    sum += Vector256.LoadUnsafe(ref read, (nuint)at);
                }

                (sum / Vector256.Create(count)).CopyTo(means[channel..]);
            }
        }

        for (; channel < channels; channel++)
        {
            var sum = 0f;
            for (var at = channel; at < rows.Length; at += channels)
            {
                sum += rows[at];
            }

            means[channel] = sum / count;
        }
    }

    /// <summary>The root of the mean square distance of each column from its origin.</summary>
    public static void Spreads(ReadOnlySpan<float> rows, ReadOnlySpan<float> origins, Span<float> spreads, SimdLevel level)
    {
        var channels = spreads.Length;
        var count = (float)(rows.Length / channels);
        var channel = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(rows);
            for (; channel + Vector256<float>.Count <= channels; channel += Vector256<float>.Count)
            {
                var origin = Vector256.Create(origins.Slice(channel, Vector256<float>.Count));
                var sum = Vector256<float>.Zero;
                for (var at = channel; at < rows.Length; at += channels)
                {
                    var distance = Vector256.LoadUnsafe(ref read, (nuint)at) - origin;
                    sum += distance * distance;
                }

                Vector256.Sqrt(sum / Vector256.Create(count)).CopyTo(spreads[channel..]);
            }
        }

        for (; channel < channels; channel++)
        {
            var sum = 0f;
            for (var at = channel; at < rows.Length; at += channels)
            {
                var distance = rows[at] - origins[channel];
                sum += distance * distance;
            }

            spreads[channel] = MathF.Sqrt(sum / count);
        }
    }
}
