using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Protocol.Integrity;

/// <summary>
/// CRC-32C with three independent chains of the crc32 instruction, which takes three cycles and can start every cycle. The
/// chains run over neighbouring stretches; their checksums are joined by carry-less multiplication.
/// </summary>
internal static class Crc32CLanes
{
    /// <summary>Bytes of one chain. Longer ones win a little in the cache, but from memory the prefetcher loses three streams 512 bytes apart.</summary>
    private const int LaneBytes = 256;

    public const int StepBytes = 3 * LaneBytes;

    private static readonly Vector128<long> Join = Vector128.Create(
        (long)CrcPolynomial.PowerOfX((8L * 2 * LaneBytes) - 33), (long)CrcPolynomial.PowerOfX((8L * LaneBytes) - 33));

    public static bool IsSupported => Sse42.X64.IsSupported && Pclmulqdq.IsSupported;

    /// <summary>Continues <paramref name="state"/> (the inverted checksum) over a whole number of steps.</summary>
    public static uint Append(uint state, ref byte source, nuint bytes)
    {
        Debug.Assert(bytes % StepBytes == 0, "the caller handles the rest");
        ulong first = state;
        for (nuint start = 0; start < bytes; start += StepBytes)
        {
            ulong second = 0;
            ulong third = 0;
            for (nuint offset = start; offset < start + LaneBytes; offset += sizeof(ulong))
            {
                first = Sse42.X64.Crc32(first, Read(ref source, offset));
                second = Sse42.X64.Crc32(second, Read(ref source, offset + LaneBytes));
                third = Sse42.X64.Crc32(third, Read(ref source, offset + (2 * LaneBytes)));
            }

            var firstMoved = Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar((long)first), Join, 0x00);
            var secondMoved = Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar((long)second), Join, 0x10);
            first = Sse42.X64.Crc32(0, (ulong)(firstMoved ^ secondMoved)[0]) ^ third;
        }

        return (uint)first;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Read(ref byte source, nuint offset) => Unsafe.ReadUnaligned<ulong>(ref Unsafe.AddByteOffset(ref source, offset));
}
