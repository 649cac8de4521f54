using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.Numerics;

/// <summary>
/// Half to single, exactly, and back, rounding half to even; NaNs come back quiet. By arithmetic on the bits, because .NET shows no F16C
/// instructions.
/// </summary>
internal static class Fp16
{
    private const int Rebias = (127 - 15) << 23;
    private const int InfinityBits = 0x7F80_0000;
    private const int LeastNormal = 113 << 23;
    private const int Overflow = 143 << 23;
    private const int SubnormalMagic = 126 << 23;

    // 2^112: moves the exponent of a half that was shifted into a single, subnormals included.
    private static readonly float Scale = BitConverter.Int32BitsToSingle(0x7780_0000);

    public static float ToSingle(ushort value)
    {
        var magnitude = BitConverter.Int32BitsToSingle((value & 0x7FFF) << 13) * Scale;
        var bits = BitConverter.SingleToInt32Bits(magnitude);
        if ((value & 0x7C00) == 0x7C00)
        {
            bits |= InfinityBits;
        }

        return BitConverter.Int32BitsToSingle(bits | ((value & 0x8000) << 16));
    }

    public static ushort FromSingle(float value)
    {
        var bits = BitConverter.SingleToInt32Bits(value);
        var sign = (bits >> 16) & 0x8000;
        bits &= 0x7FFF_FFFF;
        if (bits >= Overflow)
        {
            return (ushort)(sign | (bits > InfinityBits ? 0x7E00 : 0x7C00));
        }

        if (bits < LeastNormal)
        {
            var sum = BitConverter.Int32BitsToSingle(bits) + BitConverter.Int32BitsToSingle(SubnormalMagic);
            return (ushort)(sign | (BitConverter.SingleToInt32Bits(sum) - SubnormalMagic));
        }

        return (ushort)(sign | ((bits - Rebias + 0xFFF + ((bits >> 13) & 1)) >> 13));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(Vector128<ushort> values) => Widen(Avx2.ConvertToVector256Int32(values));

    /// <summary>Eight halves, each in the low half of its lane; the upper halves are zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(Vector256<int> wide)
    {
        var magnitude = Avx.Multiply(Avx2.ShiftLeftLogical(Avx2.And(wide, Vector256.Create(0x7FFF)), 13).AsSingle(), Vector256.Create(Scale)).AsInt32();
        var exponent = Vector256.Create(0x7C00);
        var isSpecial = Avx2.CompareEqual(Avx2.And(wide, exponent), exponent);
        var sign = Avx2.ShiftLeftLogical(Avx2.And(wide, Vector256.Create(0x8000)), 16);
        return Avx2.Or(Avx2.Or(magnitude, Avx2.And(isSpecial, Vector256.Create(InfinityBits))), sign).AsSingle();
    }

    /// <summary>Eight words, each in the low half of its lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Round(Vector256<float> values)
    {
        var all = values.AsInt32();
        var sign = Avx2.And(Avx2.ShiftRightLogical(all, 16), Vector256.Create(0x8000));
        var bits = Avx2.And(all, Vector256.Create(0x7FFF_FFFF));
        var odd = Avx2.And(Avx2.ShiftRightLogical(bits, 13), Vector256.Create(1));
        var normal = Avx2.ShiftRightLogical(Avx2.Add(Avx2.Add(bits, Vector256.Create(0xFFF - Rebias)), odd), 13);
        var magic = Vector256.Create(SubnormalMagic);
        var subnormal = Avx2.Subtract(Avx.Add(bits.AsSingle(), magic.AsSingle()).AsInt32(), magic);
        var isNaN = Avx2.CompareGreaterThan(bits, Vector256.Create(InfinityBits));
        var special = Avx2.BlendVariable(Vector256.Create(0x7C00), Vector256.Create(0x7E00), isNaN);
        var result = Avx2.BlendVariable(normal, subnormal, Avx2.CompareGreaterThan(Vector256.Create(LeastNormal), bits));
        result = Avx2.BlendVariable(result, special, Avx2.CompareGreaterThan(bits, Vector256.Create(Overflow - 1)));
        return Avx2.Or(result, sign);
    }

    public static void ToSingle(ReadOnlySpan<ushort> source, Span<float> destination, SimdLevel level)
    {
        destination = destination[..source.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(source);
            ref var write = ref MemoryMarshal.GetReference(destination);
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
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(source);
            ref var write = ref MemoryMarshal.GetReference(destination);
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
}
