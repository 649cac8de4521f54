using System.Runtime.InteropServices;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Numerics;

/// <summary>Means of channels that a strip stores as halves, so that what is left has none.</summary>
internal static class ChannelMeans
{
    public static int Bytes(int channels) => channels * sizeof(ushort);

    /// <summary>Stores the means of rows and takes what was stored out of them.</summary>
    /// <returns>False when a half cannot say a mean.</returns>
    public static bool TakeOut(Span<float> rows, Span<float> means, Span<byte> stored, SimdLevel level)
    {
        ColumnMoments.Means(rows, means, level);
        Fp16.FromSingle(means, MemoryMarshal.Cast<byte, ushort>(stored), level);
        if (!TryRead(stored, means, level))
        {
            return false;
        }

        for (var first = 0; first < rows.Length; first += means.Length)
        {
            Scaling.Subtract(rows.Slice(first, means.Length), means, level);
        }

        return true;
    }

    /// <summary>Reads stored means; false when one is no number.</summary>
    public static bool TryRead(ReadOnlySpan<byte> stored, Span<float> means, SimdLevel level)
    {
        stored = stored[..Bytes(means.Length)];
        Fp16.ToSingle(MemoryMarshal.Cast<byte, ushort>(stored), means, level);
        return FiniteScan.AllFinite(KvElement.Float16, stored, level);
    }
}
