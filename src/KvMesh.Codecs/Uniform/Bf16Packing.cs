using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Uniform;

/// <summary>
/// <see cref="RowPacking.Pack"/> straight from bfloat16, the same operation on every number. Callers keep the bounds: a row has the channels
/// of its grid, and there is a scale for each group or channel.
/// </summary>
internal static class Bf16Packing
{
    public static void Pack<TWidth, TAxis, TOrigin>(in RowGrid grid, ref ushort row, ref float inverses, ref float zeros, ref byte codes, SimdLevel level)
        where TWidth : struct, ICodeWidth
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var at = 0;
        if (level == SimdLevel.Vector512)
        {
            for (; at + Vector512<byte>.Count <= grid.CodeBytes; at += Vector512<byte>.Count)
            {
                Bytes512<TWidth, TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, at).StoreUnsafe(ref codes, (nuint)at);
            }
        }

        for (; at + Vector256<byte>.Count <= grid.CodeBytes; at += Vector256<byte>.Count)
        {
            Bytes256<TWidth, TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, at, 16).StoreUnsafe(ref codes, (nuint)at);
        }

        if (at < grid.CodeBytes)
        {
            Bytes256<TWidth, TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, at, 0).GetLower().StoreUnsafe(ref codes, (nuint)at);
        }
    }

    /// <summary>Codes of 32 places; with <paramref name="upper"/> 0 instead of 16, of 16 places twice.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Bytes256<TWidth, TAxis, TOrigin>(in RowGrid grid, ref ushort row, ref float inverses, ref float zeros, int at, int upper)
        where TWidth : struct, ICodeWidth
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var combined = Vector256<byte>.Zero;
        for (var part = 0; part < 8 / TWidth.Bits; part++)
        {
            var channel = (nuint)(at + (part * grid.CodeBytes));
            var low = Avx2.PackSignedSaturate(
                Steps256<TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, channel), Steps256<TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, channel + 8));
            channel += (nuint)upper;
            var high = Avx2.PackSignedSaturate(
                Steps256<TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, channel), Steps256<TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, channel + 8));
            if (!TOrigin.HasZeroPoint)
            {
                var bias = Vector256.Create((short)grid.Bias);
                low += bias;
                high += bias;
            }

            var codes = Avx2.PackUnsignedSaturate(low, high);
            codes = TOrigin.HasZeroPoint && TWidth.Bits == 8 ? codes : Avx2.Min(codes, Vector256.Create((byte)grid.Steps));

            // Codes are so small that none reaches into its neighbour.
            combined |= (codes.AsUInt16() << (part * TWidth.Bits)).AsByte();
        }

        return Lanes.InOrder(combined);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Bytes512<TWidth, TAxis, TOrigin>(in RowGrid grid, ref ushort row, ref float inverses, ref float zeros, int at)
        where TWidth : struct, ICodeWidth
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var combined = Vector512<byte>.Zero;
        for (var part = 0; part < 8 / TWidth.Bits; part++)
        {
            var channel = (nuint)(at + (part * grid.CodeBytes));
            var low = Avx512BW.PackSignedSaturate(
                Steps512<TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, channel), Steps512<TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, channel + 16));
            var high = Avx512BW.PackSignedSaturate(
                Steps512<TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, channel + 32), Steps512<TAxis, TOrigin>(grid, ref row, ref inverses, ref zeros, channel + 48));
            if (!TOrigin.HasZeroPoint)
            {
                var bias = Vector512.Create((short)grid.Bias);
                low += bias;
                high += bias;
            }

            var codes = Avx512BW.PackUnsignedSaturate(low, high);
            codes = TOrigin.HasZeroPoint && TWidth.Bits == 8 ? codes : Avx512BW.Min(codes, Vector512.Create((byte)grid.Steps));
            combined |= (codes.AsUInt16() << (part * TWidth.Bits)).AsByte();
        }

        return Lanes.InOrder(combined);
    }

    /// <summary>Rounded steps. Scales follow from the range of their group, so that none comes near the end of an integer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Steps256<TAxis, TOrigin>(in RowGrid grid, ref ushort row, ref float inverses, ref float zeros, nuint channel)
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var values = Bf16.Widen(Vector128.LoadUnsafe(ref row, channel));
        if (TOrigin.HasZeroPoint)
        {
            values -= ScaleLoad.Of256<TAxis>(ref zeros, channel, grid.GroupShift);
        }

        return Avx.ConvertToVector256Int32(values * ScaleLoad.Of256<TAxis>(ref inverses, channel, grid.GroupShift));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Steps512<TAxis, TOrigin>(in RowGrid grid, ref ushort row, ref float inverses, ref float zeros, nuint channel)
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var values = Bf16.Widen(Vector256.LoadUnsafe(ref row, channel));
        if (TOrigin.HasZeroPoint)
        {
            values -= ScaleLoad.Of512<TAxis>(ref zeros, channel, grid.GroupShift);
        }

        return Avx512F.ConvertToVector512Int32(values * ScaleLoad.Of512<TAxis>(ref inverses, channel, grid.GroupShift));
    }
}

/// <summary>Scales or zero points of consecutive channels that begin where a vector does.</summary>
internal static class ScaleLoad
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Of256<TAxis>(ref float values, nuint channel, int shift)
        where TAxis : struct, IScaleAxis =>
        TAxis.IsPerGroup ? Vector256.Create(Unsafe.Add(ref values, channel >> shift)) : Vector256.LoadUnsafe(ref values, channel);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of512<TAxis>(ref float values, nuint channel, int shift)
        where TAxis : struct, IScaleAxis =>
        TAxis.IsPerGroup ? Vector512.Create(Unsafe.Add(ref values, channel >> shift)) : Vector512.LoadUnsafe(ref values, channel);
}
