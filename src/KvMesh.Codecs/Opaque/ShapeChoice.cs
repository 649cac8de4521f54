using System.Runtime.InteropServices;
using KvMesh.Codecs.EntropyCoding;

namespace KvMesh.Codecs.Opaque;

/// <summary>Which numbers a chunk holds, by a sample: that shape whose planes have the least entropy. In integers, so that it is the same everywhere.</summary>
internal static class ShapeChoice
{
    private const int Runs = 8;
    private const int RunBytes = 1024;

    /// <summary>What a shape must save beside the one before it, in parts of the sample: noise favours one by chance.</summary>
    private const int LeastGain = 256;

    private static ReadOnlySpan<WordShape> Shapes =>
        [WordShape.Bytes, WordShape.Words, WordShape.TurnedWords, WordShape.DoubleWords, WordShape.TurnedDoubleWords];

    public static WordShape Of(ReadOnlySpan<byte> chunk)
    {
        var runs = chunk.Length <= Runs * RunBytes ? 1 : Runs;
        var runBytes = (runs == 1 ? Math.Min(chunk.Length, Runs * RunBytes) : RunBytes) & ~3;
        var apart = runs == 1 ? 0 : ((chunk.Length - runBytes) / (runs - 1)) & ~3;
        var (best, least) = (WordShape.Bytes, long.MaxValue);
        Span<int> counts = stackalloc int[WordPlanes.MostPlanes * SymbolFrequencies.SymbolCount];
        foreach (var shape in Shapes)
        {
            counts.Clear();
            for (var run = 0; run < runs; run++)
            {
                Count(shape, MemoryMarshal.Cast<byte, uint>(chunk.Slice(run * apart, runBytes)), counts);
            }

            var cost = CostOf(counts[..(WordPlanes.CountOf(shape) * SymbolFrequencies.SymbolCount)]);
            if (least == long.MaxValue || cost < least - (least / LeastGain))
            {
                (best, least) = (shape, cost);
            }
        }

        return best;
    }

    private static void Count(WordShape shape, ReadOnlySpan<uint> words, Span<int> counts)
    {
        foreach (var word in words)
        {
            var turned = shape switch
            {
                WordShape.TurnedWords => ((word << 1) & 0xFFFE_FFFE) | ((word >> 15) & 0x0001_0001),
                WordShape.TurnedDoubleWords => uint.RotateLeft(word, 1),
                _ => word,
            };
            var planes = WordPlanes.CountOf(shape) - 1;
            for (var index = 0; index < sizeof(uint); index++)
            {
                counts[((index & planes) * SymbolFrequencies.SymbolCount) + (byte)(turned >> (8 * index))]++;
            }
        }
    }

    /// <summary>Bits of all planes, and what the entropy of a sample is too small by for each byte that occurs in it (Miller and Madow).</summary>
    private static long CostOf(ReadOnlySpan<int> counts)
    {
        long cost = 0;
        for (; !counts.IsEmpty; counts = counts[SymbolFrequencies.SymbolCount..])
        {
            var plane = counts[..SymbolFrequencies.SymbolCount];
            cost += SymbolCost.Entropy(plane) + (SymbolCost.OfSampling * (SymbolFrequencies.SymbolCount - MemoryExtensions.Count(plane, 0)));
        }

        return cost;
    }
}
