using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Protocol.Integrity;

/// <summary>
/// CRC-32C by folding with carry-less multiplication, 256 bytes a step: every 128-bit lane is multiplied by the power of x
/// that moves it 2,048 bits on, and the next data is added. The 16 bytes that remain have the same checksum as all that
/// was folded into them.
/// </summary>
internal static class Crc32CFolding
{
    public const int StepBytes = 256;

    public const int VectorBytes = 64;

    // Carry-less products of reflected polynomials come out one power of x too high, hence the odd distances.
    private static readonly Vector512<long> FoldStep = Vector512.Create(Factors(8 * StepBytes));
    private static readonly Vector512<long> FoldVector = Vector512.Create(Factors(8 * 64));
    private static readonly Vector128<long> FoldLane3 = Factors(8 * 48);
    private static readonly Vector128<long> FoldLane2 = Factors(8 * 32);
    private static readonly Vector128<long> FoldLane1 = Factors(8 * 16);

    public static bool IsSupported => Pclmulqdq.V512.IsSupported && Avx512F.IsSupported && Sse42.X64.IsSupported;

    /// <summary>Continues <paramref name="state"/> (the inverted checksum) over a whole number of steps, at least one.</summary>
    public static uint Append(uint state, ref byte source, nuint bytes) => Run(state, ref source, ref source, bytes, Sink.None);

    /// <summary>As <see cref="Append"/>, and stores what it reads to <paramref name="destination"/>, which must not overlap.</summary>
    public static uint CopyAndAppend(uint state, ref byte source, ref byte destination, nuint bytes) =>
        Run(state, ref source, ref destination, bytes, Sink.Cache);

    /// <summary>
    /// As <see cref="CopyAndAppend"/>, past the cache. The destination is pinned, or memory of no collector, and aligned to
    /// <see cref="VectorBytes"/>. The fence makes the bytes visible before anything that the caller publishes afterwards.
    /// </summary>
    public static uint StreamAndAppend(uint state, ref byte source, ref byte destination, nuint bytes)
    {
        var result = Run(state, ref source, ref destination, bytes, Sink.Memory);
        Sse.StoreFence();
        return result;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Run(uint state, ref byte source, ref byte destination, nuint bytes, Sink sink)
    {
        Debug.Assert(bytes >= StepBytes && bytes % StepBytes == 0, "the caller handles the rest");
        var factors = FoldStep;
        var a = Take(ref source, ref destination, 0, sink) ^ Vector512.CreateScalar((long)state);
        var b = Take(ref source, ref destination, 64, sink);
        var c = Take(ref source, ref destination, 128, sink);
        var d = Take(ref source, ref destination, 192, sink);
        for (nuint offset = StepBytes; offset < bytes; offset += StepBytes)
        {
            a = Fold(a, factors, Take(ref source, ref destination, offset, sink));
            b = Fold(b, factors, Take(ref source, ref destination, offset + 64, sink));
            c = Fold(c, factors, Take(ref source, ref destination, offset + 128, sink));
            d = Fold(d, factors, Take(ref source, ref destination, offset + 192, sink));
        }

        var rest = Fold(Fold(Fold(a, FoldVector, b), FoldVector, c), FoldVector, d);
        var lanes = Fold(rest.GetLower().GetLower(), FoldLane3)
            ^ Fold(rest.GetLower().GetUpper(), FoldLane2)
            ^ Fold(rest.GetUpper().GetLower(), FoldLane1)
            ^ rest.GetUpper().GetUpper();
        return (uint)Sse42.X64.Crc32(Sse42.X64.Crc32(0, (ulong)lanes[0]), (ulong)lanes[1]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<long> Take(ref byte source, ref byte destination, nuint offset, Sink sink)
    {
        var data = Vector512.LoadUnsafe(ref source, offset);
        if (sink == Sink.Cache)
        {
            data.StoreUnsafe(ref destination, offset);
        }
        else if (sink == Sink.Memory)
        {
            // The caller of StreamAndAppend keeps the destination where it is.
            unsafe
            {
                data.StoreAlignedNonTemporal((byte*)Unsafe.AsPointer(ref destination) + offset);
            }
        }

        return data.AsInt64();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<long> Fold(Vector512<long> value, Vector512<long> factors, Vector512<long> next) =>
        Avx512F.TernaryLogic(
            Pclmulqdq.V512.CarrylessMultiply(value, factors, 0x00), Pclmulqdq.V512.CarrylessMultiply(value, factors, 0x11), next, 0x96);

    private static Vector128<long> Fold(Vector128<long> value, Vector128<long> factors) =>
        Pclmulqdq.CarrylessMultiply(value, factors, 0x00) ^ Pclmulqdq.CarrylessMultiply(value, factors, 0x11);

    /// <summary>What moves a lane of 128 bits on by <paramref name="bits"/>: one factor for its first 64 bits, one for its last.</summary>
    private static Vector128<long> Factors(int bits) => Vector128.Create(
        (long)((ulong)CrcPolynomial.PowerOfX(bits + 63) << 32), (long)((ulong)CrcPolynomial.PowerOfX(bits - 1) << 32));

    /// <summary>Where the data goes besides the checksum. A constant at each inlined call, so that the loop has no branch.</summary>
    private enum Sink
    {
        None,
        Cache,
        Memory,
    }
}
