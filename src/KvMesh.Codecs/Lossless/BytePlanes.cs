using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Lossless;

/// <summary>
/// Takes elements apart into what can be predicted and what cannot: of bfloat16 the exponent, and sign with mantissa; of a half the upper and
/// the lower byte. Elements of a byte are all symbol.
/// </summary>
internal static class BytePlanes
{
    public static bool HasRest(KvElement element) => element.Bytes() == sizeof(ushort);

    public static void Split(KvElement element, ReadOnlySpan<byte> row, Span<byte> symbols, Span<byte> rest, SimdLevel level)
    {
        switch (element)
        {
            case KvElement.BFloat16:
                Split(MemoryMarshal.Cast<byte, ushort>(row), symbols, rest, 7, level);
                break;
            case KvElement.Float16:
                Split(MemoryMarshal.Cast<byte, ushort>(row), symbols, rest, 8, level);
                break;
            default:
                row.CopyTo(symbols);
                break;
        }
    }

    public static void Join(KvElement element, ReadOnlySpan<byte> symbols, ReadOnlySpan<byte> rest, Span<byte> row, SimdLevel level)
    {
        switch (element)
        {
            case KvElement.BFloat16:
                Join(symbols, rest, MemoryMarshal.Cast<byte, ushort>(row), 7, level);
                break;
            case KvElement.Float16:
                Join(symbols, rest, MemoryMarshal.Cast<byte, ushort>(row), 8, level);
                break;
            default:
                symbols.CopyTo(row);
                break;
        }
    }

    /// <summary>Symbols are the eight bits from <paramref name="shift"/> on; the rest is the bits below, and above them the bit that is left at 7.</summary>
    private static void Split(ReadOnlySpan<ushort> words, Span<byte> symbols, Span<byte> rest, int shift, SimdLevel level)
    {
        var below = (1 << shift) - 1;
        var above = 0x80 & ~below;
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(words);
            var low = Vector256.Create((ushort)0xFF);
            var belowMask = Vector256.Create((ushort)below);
            var aboveMask = Vector256.Create((ushort)above);
            for (; at + Vector256<byte>.Count <= words.Length; at += Vector256<byte>.Count)
            {
                var first = Vector256.LoadUnsafe(ref read, (nuint)at);
                var second = Vector256.LoadUnsafe(ref read, (nuint)(at + Vector256<ushort>.Count));
                Pack((first >>> shift) & low, (second >>> shift) & low).CopyTo(symbols[at..]);
                Pack((first & belowMask) | ((first >>> 8) & aboveMask), (second & belowMask) | ((second >>> 8) & aboveMask)).CopyTo(rest[at..]);
            }
        }

        for (; at < words.Length; at++)
        {
            symbols[at] = (byte)(words[at] >> shift);
            rest[at] = (byte)((words[at] & below) | ((words[at] >> 8) & above));
        }
    }

    private static void Join(ReadOnlySpan<byte> symbols, ReadOnlySpan<byte> rest, Span<ushort> words, int shift, SimdLevel level)
    {
        var below = (1 << shift) - 1;
        var above = 0x80 & ~below;
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            var belowMask = Vector256.Create((ushort)below);
            var aboveMask = Vector256.Create((ushort)above);
            for (; at + Vector256<ushort>.Count <= words.Length; at += Vector256<ushort>.Count)
            {
                var symbol = Avx2.ConvertToVector256Int16(Vector128.Create(symbols.Slice(at, 16))).AsUInt16();
                var left = Avx2.ConvertToVector256Int16(Vector128.Create(rest.Slice(at, 16))).AsUInt16();
                ((symbol << shift) | (left & belowMask) | ((left & aboveMask) << 8)).CopyTo(words[at..]);
            }
        }

        for (; at < words.Length; at++)
        {
            words[at] = (ushort)((symbols[at] << shift) | (rest[at] & below) | ((rest[at] & above) << 8));
        }
    }

    private static Vector256<byte> Pack(Vector256<ushort> first, Vector256<ushort> second) =>
        Avx2.Permute4x64(Avx2.PackUnsignedSaturate(first.AsInt16(), second.AsInt16()).AsInt64(), 0b11_01_10_00).AsByte();
}
