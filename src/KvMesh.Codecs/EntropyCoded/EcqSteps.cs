using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.EntropyCoded;

/// <summary>Numbers to symbols of even steps and back.</summary>
internal static class EcqSteps
{
    /// <summary>The symbol of what lies beyond the steps.</summary>
    public const byte Escape = 0;

    private const int MostSteps = 127;

    /// <summary>Symbols of rows that lie one after the other. A channel without spread has step zero only.</summary>
    /// <param name="rows">The numbers.</param>
    /// <param name="spreads">Spreads before; one over the step of each channel after.</param>
    /// <param name="means">Origin of each channel.</param>
    /// <param name="share">Step in spreads.</param>
    /// <param name="symbols">As many as numbers.</param>
    /// <param name="level">Instructions to use.</param>
    public static void Divide(ReadOnlySpan<float> rows, Span<float> spreads, ReadOnlySpan<float> means, float share, Span<byte> symbols, SimdLevel level)
    {
        foreach (ref var spread in spreads)
        {
            spread = spread == 0 ? 0 : 1 / (spread * share);
        }

        for (var first = 0; first < rows.Length; first += spreads.Length)
        {
            DivideRow(rows.Slice(first, spreads.Length), spreads, means[..spreads.Length], symbols.Slice(first, spreads.Length), level);
        }
    }

    /// <summary>The numbers of one row; what an escape stands for is the caller's to put in.</summary>
    public static void Multiply(ReadOnlySpan<byte> symbols, ReadOnlySpan<float> steps, ReadOnlySpan<float> means, Span<float> row, SimdLevel level)
    {
        symbols = symbols[..row.Length];
        steps = steps[..row.Length];
        means = means[..row.Length];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            ref var read = ref MemoryMarshal.GetReference(symbols);
            var zero = Vector256.Create(NormalFrequencies.Zero);
            for (; at + Vector256<float>.Count <= row.Length; at += Vector256<float>.Count)
            {
                var bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref read, at))).AsByte();
                var count = Avx.ConvertToVector256Single(Avx2.ConvertToVector256Int32(bytes) - zero);
                ((count * Vector256.Create(steps.Slice(at, 8))) + Vector256.Create(means.Slice(at, 8))).CopyTo(row[at..]);
            }
        }

        for (; at < row.Length; at++)
        {
            row[at] = ((float)(symbols[at] - NormalFrequencies.Zero) * steps[at]) + means[at];
        }
    }

    private static void DivideRow(ReadOnlySpan<float> row, ReadOnlySpan<float> inverses, ReadOnlySpan<float> means, Span<byte> symbols, SimdLevel level)
    {
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<byte>.Count <= row.Length; at += Vector256<byte>.Count)
            {
                Lanes.ToBytes(
                    Symbols(row, inverses, means, at), Symbols(row, inverses, means, at + 8), Symbols(row, inverses, means, at + 16),
                    Symbols(row, inverses, means, at + 24)).CopyTo(symbols[at..]);
            }
        }

        for (; at < row.Length; at++)
        {
            var steps = MathF.Round((row[at] - means[at]) * inverses[at]);
            symbols[at] = MathF.Abs(steps) <= MostSteps ? (byte)((int)steps + NormalFrequencies.Zero) : Escape;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Symbols(ReadOnlySpan<float> row, ReadOnlySpan<float> inverses, ReadOnlySpan<float> means, int at)
    {
        var distance = Vector256.Create(row.Slice(at, 8)) - Vector256.Create(means.Slice(at, 8));
        var steps = Avx.ConvertToVector256Int32(distance * Vector256.Create(inverses.Slice(at, 8)));

        // What no integer holds comes as the least one, which is beyond the steps as well.
        var isFar = Avx2.CompareGreaterThan(steps, Vector256.Create(MostSteps)) | Avx2.CompareGreaterThan(Vector256.Create(-MostSteps), steps);
        return Avx2.AndNot(isFar, steps + Vector256.Create(NormalFrequencies.Zero));
    }
}
