using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KvMesh.Codecs.EntropyCoding;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Opaque;

/// <summary>
/// The byte that tells the law of another: how far back it lies, and its classes. A neighbour for text and counters; a row further back for
/// tensors, whose channels have magnitudes of their own.
/// </summary>
internal readonly struct EarlierByte
{
    public const int MostClasses = 8;

    /// <summary>Most bytes of <see cref="Write"/> and of the tables of all classes.</summary>
    public const int MaxHeadBytes = sizeof(ushort) + MostClasses + (MostClasses * SymbolFrequencies.MaxStoredBytes);

    /// <summary>Counters that <see cref="Choose"/> works with.</summary>
    public const int CountLength = MostClasses * SymbolFrequencies.SymbolCount;

    /// <summary>Fewer bytes have no room for tables of classes.</summary>
    private const int LeastBytes = 16 * 1024;

    private const int SampleBytes = 8 * 1024;

    /// <summary>Planes with more bits in a byte are noise, or count: for these only the first distances are tried.</summary>
    private const long NoiseCost = 15 * SymbolCost.Unit / 2;
    private const int DistancesOfNoise = 2;

    /// <summary>What a table entry costs, in parts of a bit: it is stored once for the plane, and makes laws look better than they are in a sample.</summary>
    private const int EntryCost = SymbolFrequencies.Bits * SymbolCost.Unit;

    private const int MostDistance = 1024;

    /// <summary>Rows of tensors are so many numbers, most often. The first ones are those that noise is tried with.</summary>
    private static readonly int[] Distances = [1, 128, 64, 256, 512, MostDistance];

    private readonly Bounds _last;
    private readonly int _back;

    private EarlierByte(int back, int classes, Bounds last)
    {
        _back = back;
        Classes = classes;
        _last = last;
    }

    public bool IsNone => Classes == 0;

    public int Classes { get; }

    /// <summary>Whether it is the byte before, and bytes are coded in the order of <see cref="LaneOrder"/>.</summary>
    public bool IsNeighbour => _back == 1;

    /// <summary>How far back it lies in the order in which bytes are coded: whole rounds of lanes.</summary>
    public int Distance => IsNeighbour ? Rans.ManyLanes : _back;

    /// <summary>The byte with which a plane is shortest; none when one law does as well.</summary>
    /// <param name="plane">The plane.</param>
    /// <param name="counts">How often each byte occurs in it.</param>
    /// <param name="work"><see cref="CountLength"/> counters.</param>
    /// <param name="level">Instructions to use.</param>
    public static EarlierByte Choose(ReadOnlySpan<byte> plane, ReadOnlySpan<int> counts, Span<int> work, SimdLevel level)
    {
        if (plane.Length < LeastBytes)
        {
            return default;
        }

        var (last, classes) = ClassesOf(counts, plane.Length);
        Span<int> one = stackalloc int[SymbolFrequencies.SymbolCount];
        var symbols = plane[^SampleBytes..];
        SymbolFrequencies.Count(symbols, one);
        var alone = SymbolCost.Entropy(one);
        var (best, least) = (0, WholePlane(alone, plane.Length) + Entries(counts));
        least -= least / 50;

        // Classes of the sample and of what the farthest distance reaches before it.
        Span<byte> contexts = stackalloc byte[SampleBytes + MostDistance];
        Classify(plane[^contexts.Length..], last, classes, contexts, level);
        foreach (var back in Distances.AsSpan(0, alone > NoiseCost * SampleBytes ? DistancesOfNoise : Distances.Length))
        {
            Count(symbols, contexts.Slice(MostDistance - back, SampleBytes), work);
            long cost = 0;
            for (var index = 0; index < classes; index++)
            {
                var law = work.Slice(index << 8, SymbolFrequencies.SymbolCount);
                cost += WholePlane(SymbolCost.Entropy(law), plane.Length) + (2 * Entries(law));
            }

            (best, least) = cost < least ? (back, cost) : (best, least);
        }

        return best == 0 ? default : new EarlierByte(best, classes, last);
    }

    /// <summary>The class of the byte that tells the law of each.</summary>
    public void Classify(ReadOnlySpan<byte> symbols, Span<byte> contexts, SimdLevel level)
    {
        contexts[..Distance].Clear();
        Classify(symbols[..^Distance], _last, Classes, contexts[Distance..], level);
    }

    /// <summary>Reads all symbols; false when the stream is not one of as many.</summary>
    /// <param name="reader">A reader of their stream.</param>
    /// <param name="symbols">As many as were written, more than <see cref="Distance"/>.</param>
    /// <param name="contexts"><see cref="Distance"/> bytes.</param>
    /// <param name="level">Instructions to use.</param>
    public bool TryRead(ref ContextRansReader reader, Span<byte> symbols, Span<byte> contexts, SimdLevel level)
    {
        if (!reader.IsValid)
        {
            return false;
        }

        contexts.Clear();
        for (var at = 0; at < symbols.Length; at += Distance)
        {
            var round = symbols.Slice(at, Math.Min(Distance, symbols.Length - at));
            if (!reader.TryRead(contexts, round, level))
            {
                return false;
            }

            Classify(round, _last, Classes, contexts, level);
        }

        return reader.IsAtEnd;
    }

    /// <summary>How often each symbol occurs in each class. There are counters for all classes, below which contexts are.</summary>
    public static void Count(ReadOnlySpan<byte> symbols, ReadOnlySpan<byte> contexts, Span<int> counts)
    {
        counts.Clear();
        contexts = contexts[..symbols.Length];
        for (var at = 0; at < symbols.Length; at++)
        {
            counts[(contexts[at] << 8) | symbols[at]]++;
        }
    }

    /// <summary>The law of a class; of one that never occurs, any.</summary>
    public static void Law(ReadOnlySpan<int> counts, int index, Span<ushort> frequencies)
    {
        var own = counts.Slice(index << 8, SymbolFrequencies.SymbolCount);
        if (own.ContainsAnyExcept(0))
        {
            SymbolFrequencies.Normalise(own, frequencies);
            return;
        }

        frequencies.Clear();
        frequencies[0] = SymbolFrequencies.Total - 1;
        frequencies[1] = 1;
    }

    public int Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(destination, (ushort)_back);
        destination[2] = (byte)(Classes - 1);
        var last = _last;
        ((ReadOnlySpan<byte>)last)[..(Classes - 1)].CopyTo(destination[3..]);
        return 3 + Classes - 1;
    }

    /// <summary>Reads what <see cref="Write"/> wrote, and goes on behind it; false when it wrote no such thing for a plane of this length.</summary>
    public static bool TryRead(ref ReadOnlySpan<byte> source, int planeBytes, out EarlierByte earlier)
    {
        earlier = default;
        if (source.Length < 3 || planeBytes < LeastBytes)
        {
            return false;
        }

        int back = BinaryPrimitives.ReadUInt16LittleEndian(source), classes = source[2] + 1;
        if (Array.IndexOf(Distances, back) < 0 || classes > MostClasses || source.Length < 3 + classes - 1)
        {
            return false;
        }

        Bounds last = default;
        source.Slice(3, classes - 1).CopyTo(last);
        for (var index = 1; index < classes - 1; index++)
        {
            if (last[index] <= last[index - 1])
            {
                return false;
            }
        }

        earlier = new EarlierByte(back, classes, last);
        source = source[(3 + classes - 1)..];
        return true;
    }

    /// <summary>Classes of about as many bytes each, in the order of bytes.</summary>
    private static (Bounds Last, int Classes) ClassesOf(ReadOnlySpan<int> counts, int total)
    {
        Bounds last = default;
        var (classes, sum) = (1, 0L);
        for (var symbol = 0; symbol < SymbolFrequencies.SymbolCount - 1 && classes < MostClasses; symbol++)
        {
            sum += counts[symbol];
            if (sum * MostClasses >= (long)total * classes && sum < total && counts[symbol] > 0)
            {
                last[classes - 1] = (byte)symbol;
                classes++;
            }
        }

        return (last, classes);
    }

    /// <summary>The class of each symbol: how many classes end before it.</summary>
    private static void Classify(ReadOnlySpan<byte> symbols, Bounds last, int classes, Span<byte> contexts, SimdLevel level)
    {
        ReadOnlySpan<byte> bounds = ((ReadOnlySpan<byte>)last)[..(classes - 1)];
        var at = 0;
        if (level >= SimdLevel.Vector256)
        {
            for (; at + Vector256<byte>.Count <= symbols.Length; at += Vector256<byte>.Count)
            {
                var symbol = Vector256.Create(symbols.Slice(at, Vector256<byte>.Count));
                var own = Vector256<byte>.Zero;
                foreach (var bound in bounds)
                {
                    own -= Vector256.GreaterThan(symbol, Vector256.Create(bound));
                }

                own.CopyTo(contexts[at..]);
            }
        }

        for (; at < symbols.Length; at++)
        {
            byte own = 0;
            foreach (var bound in bounds)
            {
                own += symbols[at] > bound ? (byte)1 : (byte)0;
            }

            contexts[at] = own;
        }
    }

    private static long WholePlane(long cost, int plane) => cost * plane / SampleBytes;

    private static long Entries(ReadOnlySpan<int> counts) =>
        (long)(SymbolFrequencies.SymbolCount - System.MemoryExtensions.Count(counts, 0)) * EntryCost;

    /// <summary>The last byte of each class but the last, rising.</summary>
    [InlineArray(MostClasses)]
    private struct Bounds
    {
        private byte _first;
    }
}
