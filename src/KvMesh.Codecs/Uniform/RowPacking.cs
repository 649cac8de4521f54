using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Uniform;

/// <summary>
/// One row of numbers to codes and back. With n codes in a byte, byte i of a row of d channels holds the codes of channels i, i + d / n,
/// i + 2 d / n and so on, lowest bits first, so that both ways need shifts and masks only.
/// </summary>
internal static class RowPacking
{
    /// <summary>code = clamp(round((x − zero) × inverse), −bias, steps − bias) + bias</summary>
    public static void Pack(
        in UniformGrid grid, ReadOnlySpan<float> row, ReadOnlySpan<float> inverses, ReadOnlySpan<float> zeros, Span<byte> codes, SimdLevel level)
    {
        inverses = inverses[..row.Length];
        zeros = zeros[..row.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            var rounding = new Rounding(grid);
            for (; at + Vector256<byte>.Count <= codes.Length; at += Vector256<byte>.Count)
            {
                Lanes.ToBytes(
                    Combine(grid, row, inverses, zeros, at, codes.Length, rounding),
                    Combine(grid, row, inverses, zeros, at + 8, codes.Length, rounding),
                    Combine(grid, row, inverses, zeros, at + 16, codes.Length, rounding),
                    Combine(grid, row, inverses, zeros, at + 24, codes.Length, rounding)).CopyTo(codes[at..]);
            }

            for (; at + Vector64<byte>.Count <= codes.Length; at += Vector64<byte>.Count)
            {
                var combined = Combine(grid, row, inverses, zeros, at, codes.Length, rounding);
                Lanes.ToBytes(combined, combined, combined, combined).GetLower().GetLower().CopyTo(codes[at..]);
            }
        }

        for (; at < codes.Length; at++)
        {
            var combined = 0;
            for (var part = 0; part < grid.Parts; part++)
            {
                var channel = at + (part * codes.Length);
                var step = MathF.Round((row[channel] - zeros[channel]) * inverses[channel]);
                combined |= ((int)MathF.Min(MathF.Max(step, -grid.Bias), grid.Steps - grid.Bias) + grid.Bias) << (part * grid.Bits);
            }

            codes[at] = (byte)combined;
        }
    }

    /// <summary>x̂ = (code − bias) × scale + zero</summary>
    public static void Unpack(
        in UniformGrid grid, ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, ReadOnlySpan<float> zeros, Span<float> row, SimdLevel level)
    {
        scales = scales[..row.Length];
        zeros = zeros[..row.Length];
        var mask = (1 << grid.Bits) - 1;
        for (var part = 0; part < grid.Parts; part++)
        {
            var first = part * codes.Length;
            var shift = part * grid.Bits;
            var at = 0;
            if (level >= SimdLevel.Vector256)
            {
                ref var read = ref MemoryMarshal.GetReference(codes);
                var bits = Vector256.Create(mask);
                var bias = Vector256.Create(grid.Bias);
                for (; at + Vector256<float>.Count <= codes.Length; at += Vector256<float>.Count)
                {
                    var bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref read, at))).AsByte();
                    var steps = ((Avx2.ConvertToVector256Int32(bytes) >>> shift) & bits) - bias;
                    var channel = first + at;
                    var values = (Avx.ConvertToVector256Single(steps) * Vector256.Create(scales.Slice(channel, 8))) + Vector256.Create(zeros.Slice(channel, 8));
                    values.CopyTo(row[channel..]);
                }
            }

            for (; at < codes.Length; at++)
            {
                var step = (float)(((codes[at] >> shift) & mask) - grid.Bias);
                row[first + at] = (step * scales[first + at]) + zeros[first + at];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Combine(
        in UniformGrid grid, ReadOnlySpan<float> row, ReadOnlySpan<float> inverses, ReadOnlySpan<float> zeros, int at, int partLength, in Rounding rounding)
    {
        var combined = Vector256<int>.Zero;
        for (var part = 0; part < grid.Parts; part++)
        {
            var channel = at + (part * partLength);
            var offset = Vector256.Create(row.Slice(channel, 8)) - Vector256.Create(zeros.Slice(channel, 8));
            combined |= rounding.Code(offset * Vector256.Create(inverses.Slice(channel, 8))) << (part * grid.Bits);
        }

        return combined;
    }

    /// <summary>The constants of a grid in registers.</summary>
    private readonly struct Rounding(in UniformGrid grid)
    {
        private readonly Vector256<float> _least = Vector256.Create((float)-grid.Bias);
        private readonly Vector256<float> _most = Vector256.Create((float)(grid.Steps - grid.Bias));
        private readonly Vector256<int> _bias = Vector256.Create(grid.Bias);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector256<int> Code(Vector256<float> steps) =>
            Avx.ConvertToVector256Int32(Avx.Min(Avx.Max(steps, _least), _most)) + _bias;
    }
}
