using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Uniform;

/// <summary>
/// <see cref="RowPacking.Unpack"/> straight to bfloat16, the same operation on every number. Callers keep the bounds; scales and zero points
/// are finite.
/// </summary>
internal static unsafe class Bf16Unpacking
{
    /// <param name="grid">The row.</param>
    /// <param name="codes">Codes of the row.</param>
    /// <param name="scales">A scale for each group or channel.</param>
    /// <param name="zeros">A zero point for each; not read around zero.</param>
    /// <param name="row">Where the row goes; it does not move.</param>
    /// <param name="streams">Past the caches; the row begins at a multiple of 64 and its parts are such multiples.</param>
    /// <param name="level">Instructions to use.</param>
    public static void Unpack<TWidth, TAxis, TOrigin>(
        in RowGrid grid, ref byte codes, ref float scales, ref float zeros, ushort* row, bool streams, SimdLevel level)
        where TWidth : struct, ICodeWidth
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var at = 0;
        if (level == SimdLevel.Vector512)
        {
            for (; at + Vector256<byte>.Count <= grid.CodeBytes; at += Vector256<byte>.Count)
            {
                var bytes = Vector256.LoadUnsafe(ref codes, (nuint)at);
                var low = Avx512F.ConvertToVector512Int32(bytes.GetLower());
                var high = Avx512F.ConvertToVector512Int32(bytes.GetUpper());
                for (var part = 0; part < 8 / TWidth.Bits; part++)
                {
                    var channel = (nuint)((part * grid.CodeBytes) + at);
                    var first = Values512<TWidth, TAxis, TOrigin>(grid, low, part, ref scales, ref zeros, channel);
                    var second = Values512<TWidth, TAxis, TOrigin>(grid, high, part, ref scales, ref zeros, channel + 16);
                    var words = Lanes.UpperWords(Bf16.AddHalf(first), Bf16.AddHalf(second));
                    if (streams)
                    {
                        words.StoreAlignedNonTemporal(row + channel);
                    }
                    else
                    {
                        words.Store(row + channel);
                    }
                }
            }
        }

        for (; at < grid.CodeBytes; at += Vector128<byte>.Count)
        {
            var bytes = Vector128.LoadUnsafe(ref codes, (nuint)at);
            var low = Avx2.ConvertToVector256Int32(bytes);
            var high = Avx2.ConvertToVector256Int32(Sse2.ShiftRightLogical128BitLane(bytes, 8));
            for (var part = 0; part < 8 / TWidth.Bits; part++)
            {
                var channel = (nuint)((part * grid.CodeBytes) + at);
                var first = Values256<TWidth, TAxis, TOrigin>(grid, low, part, ref scales, ref zeros, channel);
                var second = Values256<TWidth, TAxis, TOrigin>(grid, high, part, ref scales, ref zeros, channel + 8);
                var words = Lanes.ToWords(Bf16.RoundFinite(first), Bf16.RoundFinite(second));
                if (streams)
                {
                    words.StoreAlignedNonTemporal(row + channel);
                }
                else
                {
                    words.Store(row + channel);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Values256<TWidth, TAxis, TOrigin>(
        in RowGrid grid, Vector256<int> codes, int part, ref float scales, ref float zeros, nuint channel)
        where TWidth : struct, ICodeWidth
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var steps = TWidth.Bits == 8 ? codes : (codes >>> (part * TWidth.Bits)) & Vector256.Create((1 << TWidth.Bits) - 1);
        if (!TOrigin.HasZeroPoint)
        {
            return Avx.ConvertToVector256Single(steps - Vector256.Create(grid.Bias)) * ScaleLoad.Of256<TAxis>(ref scales, channel, grid.GroupShift);
        }

        var above = Avx.ConvertToVector256Single(steps) * ScaleLoad.Of256<TAxis>(ref scales, channel, grid.GroupShift);
        return above + ScaleLoad.Of256<TAxis>(ref zeros, channel, grid.GroupShift);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Values512<TWidth, TAxis, TOrigin>(
        in RowGrid grid, Vector512<int> codes, int part, ref float scales, ref float zeros, nuint channel)
        where TWidth : struct, ICodeWidth
        where TAxis : struct, IScaleAxis
        where TOrigin : struct, IOrigin
    {
        var steps = TWidth.Bits == 8 ? codes : (codes >>> (part * TWidth.Bits)) & Vector512.Create((1 << TWidth.Bits) - 1);
        if (!TOrigin.HasZeroPoint)
        {
            return Avx512F.ConvertToVector512Single(steps - Vector512.Create(grid.Bias)) * ScaleLoad.Of512<TAxis>(ref scales, channel, grid.GroupShift);
        }

        var above = Avx512F.ConvertToVector512Single(steps) * ScaleLoad.Of512<TAxis>(ref scales, channel, grid.GroupShift);
        return above + ScaleLoad.Of512<TAxis>(ref zeros, channel, grid.GroupShift);
    }
}
