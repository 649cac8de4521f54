using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Numerics;

/// <summary>Whether rows hold finite numbers only: no code for a range can stand for anything else.</summary>
internal static class FiniteScan
{
    public static bool AllFinite(KvElement element, ReadOnlySpan<byte> row, SimdLevel level) => element switch
    {
        KvElement.BFloat16 => Words(MemoryMarshal.Cast<byte, ushort>(row), 0x7F80, level),
        KvElement.Float16 => Words(MemoryMarshal.Cast<byte, ushort>(row), 0x7C00, level),
        KvElement.Fp8E4M3 => Bytes(row, E4M3.FirstSpecial),
        KvElement.Fp8E5M2 => Bytes(row, E5M2.FirstSpecial),
        _ => false,
    };

    private static bool Words(ReadOnlySpan<ushort> row, ushort firstSpecial, SimdLevel level)
    {
        var at = 0;
        if (level >= SimdLevel.Vector256 && row.Length >= Vector256<ushort>.Count)
        {
            ref var read = ref MemoryMarshal.GetReference(row);
            var magnitude = Vector256.Create((ushort)0x7FFF);
            var most = Vector256<ushort>.Zero;
            for (; at + Vector256<ushort>.Count <= row.Length; at += Vector256<ushort>.Count)
            {
                most = Vector256.Max(most, Vector256.LoadUnsafe(ref read, (nuint)at) & magnitude);
            }

            if (Vector256.GreaterThanOrEqualAny(most, Vector256.Create(firstSpecial)))
            {
                return false;
            }
        }

        for (; at < row.Length; at++)
        {
            if ((row[at] & 0x7FFF) >= firstSpecial)
            {
                return false;
            }
        }

        return true;
    }

    private static bool Bytes(ReadOnlySpan<byte> row, int firstSpecial)
    {
        foreach (var code in row)
        {
            if ((code & 0x7F) >= firstSpecial)
            {
                return false;
            }
        }

        return true;
    }
}
