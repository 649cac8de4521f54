using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Numerics;

/// <summary>Elements of a block to singles, exactly, and back, rounding half to even. The same bits at every <see cref="SimdLevel"/>.</summary>
public static class ElementConversion
{
    /// <summary>Converts as many elements as <paramref name="destination"/> holds.</summary>
    /// <param name="element">Format of the source; not opaque.</param>
    /// <param name="source">At least <c>destination.Length × element.Bytes()</c> bytes.</param>
    /// <param name="destination">The numbers.</param>
    /// <param name="level">Instructions to use; at most <see cref="SimdLevels.Best"/>.</param>
    public static void ToSingle(KvElement element, ReadOnlySpan<byte> source, Span<float> destination, SimdLevel level)
    {
        source = source[..(destination.Length * element.Bytes())];
        switch (element)
        {
            case KvElement.BFloat16:
                Bf16.ToSingle(MemoryMarshal.Cast<byte, ushort>(source), destination, level);
                break;
            case KvElement.Float16:
                Fp16.ToSingle(MemoryMarshal.Cast<byte, ushort>(source), destination, level);
                break;
            case KvElement.Fp8E4M3:
                Float8.ToSingle<E4M3>(source, destination, level);
                break;
            case KvElement.Fp8E5M2:
                Float8.ToSingle<E5M2>(source, destination, level);
                break;
            default:
                ThrowNoNumber(element);
                break;
        }
    }

    /// <summary>Converts all of <paramref name="source"/>. Formats of 8 bits saturate.</summary>
    public static void FromSingle(KvElement element, ReadOnlySpan<float> source, Span<byte> destination, SimdLevel level)
    {
        destination = destination[..(source.Length * element.Bytes())];
        switch (element)
        {
            case KvElement.BFloat16:
                Bf16.FromSingle(source, MemoryMarshal.Cast<byte, ushort>(destination), level);
                break;
            case KvElement.Float16:
                Fp16.FromSingle(source, MemoryMarshal.Cast<byte, ushort>(destination), level);
                break;
            case KvElement.Fp8E4M3:
                Float8.FromSingle<E4M3>(source, destination, level);
                break;
            case KvElement.Fp8E5M2:
                Float8.FromSingle<E5M2>(source, destination, level);
                break;
            default:
                ThrowNoNumber(element);
                break;
        }
    }

    [DoesNotReturn]
    private static void ThrowNoNumber(KvElement element) => throw new ArgumentException($"elements of format {element} are no numbers.", nameof(element));
}
