using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.Numerics;

/// <summary>What differs between the two formats. Constants that the compiler sees through.</summary>
internal interface IFloat8Format
{
    static abstract int MantissaBits { get; }

    static abstract int Bias { get; }

    static abstract float Max { get; }

    static abstract float LeastNormal { get; }

    /// <summary>What turns a subnormal into its code: one over the least subnormal.</summary>
    static abstract float SubnormalScale { get; }

    /// <summary>2^(127 - bias), as bits: moves the exponent of a code that was shifted into a single, subnormals included.</summary>
    static abstract int DecodeScaleBits { get; }

    /// <summary>The least magnitude of a code that is no finite number.</summary>
    static abstract int FirstSpecial { get; }
}

/// <summary>OCP E4M3FN.</summary>
internal readonly struct E4M3 : IFloat8Format
{
    public static int MantissaBits => 3;

    public static int Bias => 7;

    public static float Max => 448;

    public static float LeastNormal => 0.015625f;

    public static float SubnormalScale => 512;

    public static int DecodeScaleBits => (127 + 120) << 23;

    public static int FirstSpecial => 0x7F;
}

/// <summary>OCP E5M2.</summary>
internal readonly struct E5M2 : IFloat8Format
{
    public static int MantissaBits => 2;

    public static int Bias => 15;

    public static float Max => 57_344;

    public static float LeastNormal => 1 / 16_384f;

    public static float SubnormalScale => 65_536;

    public static int DecodeScaleBits => (127 + 112) << 23;

    public static int FirstSpecial => 0x7C;
}

/// <summary>
/// The two 8-bit float formats, to single exactly and back, rounding half to even. What is too large becomes the largest finite number,
/// infinities too; NaN stays NaN.
/// </summary>
internal static class Float8
{
    public static float ToSingle<TFormat>(byte code)
        where TFormat : struct, IFloat8Format
    {
        var magnitude = code & 0x7F;
        var bits = BitConverter.SingleToInt32Bits(BitConverter.Int32BitsToSingle(magnitude << Shift<TFormat>()) * BitConverter.Int32BitsToSingle(TFormat.DecodeScaleBits));
        if (magnitude >= TFormat.FirstSpecial)
        {
            bits |= 0x7F80_0000;
        }

        return BitConverter.Int32BitsToSingle(bits | ((code & 0x80) << 24));
    }

    public static byte FromSingle<TFormat>(float value)
        where TFormat : struct, IFloat8Format
    {
        var sign = (BitConverter.SingleToInt32Bits(value) >> 24) & 0x80;
        if (float.IsNaN(value))
        {
            return (byte)(sign | 0x7F);
        }

        var magnitude = MathF.Min(MathF.Abs(value), TFormat.Max);
        if (magnitude < TFormat.LeastNormal)
        {
            return (byte)(sign | (int)MathF.Round(magnitude * TFormat.SubnormalScale));
        }

        var bits = BitConverter.SingleToInt32Bits(magnitude);
        var half = (1 << (Shift<TFormat>() - 1)) - 1;
        var code = ((bits + half + ((bits >> Shift<TFormat>()) & 1)) >> Shift<TFormat>()) - ((127 - TFormat.Bias) << TFormat.MantissaBits);
        return (byte)(sign | code);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen<TFormat>(Vector256<int> codes)
        where TFormat : struct, IFloat8Format
    {
        var magnitude = Avx2.And(codes, Vector256.Create(0x7F));
        var bits = Avx.Multiply((magnitude << Shift<TFormat>()).AsSingle(), Vector256.Create(TFormat.DecodeScaleBits).AsSingle()).AsInt32();
        var isSpecial = Avx2.CompareGreaterThan(magnitude, Vector256.Create(TFormat.FirstSpecial - 1));
        var sign = Avx2.ShiftLeftLogical(Avx2.And(codes, Vector256.Create(0x80)), 24);
        return Avx2.Or(Avx2.Or(bits, Avx2.And(isSpecial, Vector256.Create(0x7F80_0000))), sign).AsSingle();
    }

    /// <summary>Eight codes, each in the low byte of its lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Round<TFormat>(Vector256<float> values)
        where TFormat : struct, IFloat8Format
    {
        var sign = Avx2.And(Avx2.ShiftRightLogical(values.AsInt32(), 24), Vector256.Create(0x80));
        var absolute = Avx.And(values, Vector256.Create(0x7FFF_FFFF).AsSingle());
        var isNaN = Avx.Compare(values, values, FloatComparisonMode.UnorderedNonSignaling).AsInt32();
        var magnitude = Avx.Min(absolute, Vector256.Create(TFormat.Max));
        var subnormal = Avx.ConvertToVector256Int32(Avx.Multiply(magnitude, Vector256.Create(TFormat.SubnormalScale)));
        var bits = magnitude.AsInt32();
        var odd = (bits >>> Shift<TFormat>()) & Vector256.Create(1);
        var half = Vector256.Create((1 << (Shift<TFormat>() - 1)) - 1);
        var normal = Avx2.Subtract(
            (bits + half + odd) >>> Shift<TFormat>(),
            Vector256.Create((127 - TFormat.Bias) << TFormat.MantissaBits));
        var isSubnormal = Avx.CompareLessThan(magnitude, Vector256.Create(TFormat.LeastNormal)).AsInt32();
        var code = Avx2.BlendVariable(normal, subnormal, isSubnormal);
        return Avx2.Or(Avx2.BlendVariable(code, Vector256.Create(0x7F), isNaN), sign);
    }

    public static void ToSingle<TFormat>(ReadOnlySpan<byte> source, Span<float> destination, SimdLevel level)
        where TFormat : struct, IFloat8Format
    {
        destination = destination[..source.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(source);
            ref var write = ref MemoryMarshal.GetReference(destination);
            for (; at + Vector128<byte>.Count <= source.Length; at += Vector128<byte>.Count)
            {
                var codes = Vector128.LoadUnsafe(ref read, (nuint)at);
                Widen<TFormat>(Avx2.ConvertToVector256Int32(codes)).StoreUnsafe(ref write, (nuint)at);
                var upper = Sse2.ShiftRightLogical128BitLane(codes, 8);
                Widen<TFormat>(Avx2.ConvertToVector256Int32(upper)).StoreUnsafe(ref write, (nuint)(at + 8));
            }
        }

        for (; at < source.Length; at++)
        {
            destination[at] = ToSingle<TFormat>(source[at]);
        }
    }

    public static void FromSingle<TFormat>(ReadOnlySpan<float> source, Span<byte> destination, SimdLevel level)
        where TFormat : struct, IFloat8Format
    {
        destination = destination[..source.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(source);
            ref var write = ref MemoryMarshal.GetReference(destination);
            for (; at + Vector256<byte>.Count <= source.Length; at += Vector256<byte>.Count)
            {
                Lanes.ToBytes(
                    Round<TFormat>(Vector256.LoadUnsafe(ref read, (nuint)at)),
                    Round<TFormat>(Vector256.LoadUnsafe(ref read, (nuint)(at + 8))),
                    Round<TFormat>(Vector256.LoadUnsafe(ref read, (nuint)(at + 16))),
                    Round<TFormat>(Vector256.LoadUnsafe(ref read, (nuint)(at + 24)))).StoreUnsafe(ref write, (nuint)at);
            }
        }

        for (; at < source.Length; at++)
        {
            destination[at] = FromSingle<TFormat>(source[at]);
        }
    }

    private static int Shift<TFormat>()
        where TFormat : struct, IFloat8Format => 23 - TFormat.MantissaBits;
}
