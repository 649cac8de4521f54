using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.Numerics;

/// <summary>bfloat16 to single, exactly, and back, rounding half to even. A NaN stays one.</summary>
internal static class Bf16
{
    private const uint QuietBit = 0x0040;

    public static float ToSingle(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);

    public static ushort FromSingle(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)((bits >> 16) | QuietBit) : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(Vector128<ushort> values) =>
        Avx2.ShiftLeftLogical(Avx2.ConvertToVector256Int32(values), 16).AsSingle();

    /// <summary>Eight words, each in the low half of its lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Round(Vector256<float> values)
    {
        var bits = values.AsInt32();
        var upper = Avx2.ShiftRightLogical(bits, 16);
        var odd = Avx2.And(upper, Vector256.Create(1));
        var rounded = Avx2.ShiftRightLogical(Avx2.Add(Avx2.Add(bits, Vector256.Create(0x7FFF)), odd), 16);
        var isNaN = Avx.Compare(values, values, FloatComparisonMode.UnorderedNonSignaling).AsInt32();
        return Avx2.BlendVariable(rounded, Avx2.Or(upper, Vector256.Create((int)QuietBit)), isNaN);
    }

    /// <summary>As <see cref="Round(Vector256{float})"/> for numbers that are no NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> RoundFinite(Vector256<float> values)
    {
        var bits = values.AsInt32();
        var odd = (bits >>> 16) & Vector256.Create(1);
        return (bits + Vector256.Create(0x7FFF) + odd) >>> 16;
    }

    /// <summary>Sixteen words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(Vector256<ushort> values) =>
        Avx512F.ShiftLeftLogical(Avx512F.ConvertToVector512Int32(values), 16).AsSingle();

    /// <summary>Numbers that are no NaN, so that the upper half of each is the word that it rounds to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> AddHalf(Vector512<float> values)
    {
        var bits = values.AsInt32();
        return bits + Vector512.Create(0x7FFF) + ((bits >>> 16) & Vector512.Create(1));
    }

    public static void ToSingle(ReadOnlySpan<ushort> source, Span<float> destination, SimdLevel level)
    {
        destination = destination[..source.Length];
        var at = 0;
        ref var read = ref MemoryMarshal.GetReference(source);
        ref var write = ref MemoryMarshal.GetReference(destination);
        if (level == SimdLevel.Vector512)
        {
            for (; at + Vector512<float>.Count <= source.Length; at += Vector512<float>.Count)
            {
                var wide = Avx512F.ConvertToVector512Int32(Vector256.LoadUnsafe(ref read, (nuint)at));
                Avx512F.ShiftLeftLogical(wide, 16).AsSingle().StoreUnsafe(ref write, (nuint)at);
            }
        }

        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<float>.Count <= source.Length; at += Vector256<float>.Count)
            {
                Widen(Vector128.LoadUnsafe(ref read, (nuint)at)).StoreUnsafe(ref write, (nuint)at);
            }
        }

        for (; at < source.Length; at++)
        {
            destination[at] = ToSingle(source[at]);
        }
    }

    public static void FromSingle(ReadOnlySpan<float> source, Span<ushort> destination, SimdLevel level)
    {
        destination = destination[..source.Length];
        var at = 0;
        ref var read = ref MemoryMarshal.GetReference(source);
        ref var write = ref MemoryMarshal.GetReference(destination);
        if (level == SimdLevel.Vector512)
        {
            for (; at + Vector512<float>.Count <= source.Length; at += Vector512<float>.Count)
            {
                Avx512F.ConvertToVector256UInt16(Round(Vector512.LoadUnsafe(ref read, (nuint)at)).AsUInt32()).StoreUnsafe(ref write, (nuint)at);
            }
        }

        if (level >= SimdLevel.Vector256)
        {
            for (; at + (2 * Vector256<float>.Count) <= source.Length; at += 2 * Vector256<float>.Count)
            {
                var low = Round(Vector256.LoadUnsafe(ref read, (nuint)at));
                var high = Round(Vector256.LoadUnsafe(ref read, (nuint)(at + Vector256<float>.Count)));
                Lanes.ToWords(low, high).StoreUnsafe(ref write, (nuint)at);
            }
        }

        for (; at < source.Length; at++)
        {
            destination[at] = FromSingle(source[at]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Round(Vector512<float> values)
    {
        var bits = values.AsInt32();
        var upper = Avx512F.ShiftRightLogical(bits, 16);
        var odd = upper & Vector512.Create(1);
        var rounded = Avx512F.ShiftRightLogical(bits + Vector512.Create(0x7FFF) + odd, 16);
        var isNumber = Vector512.Equals(values, values).AsInt32();
        return Vector512.ConditionalSelect(isNumber, rounded, upper | Vector512.Create((int)QuietBit));
    }
}
