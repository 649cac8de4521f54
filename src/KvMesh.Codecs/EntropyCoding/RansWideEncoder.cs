using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.EntropyCoding;

/// <summary>
/// Writes streams of <see cref="Rans"/> with one table sixteen symbols at a time, with AVX-512: the same bytes as one at a time. Tables of neighbouring
/// symbols, as exponents and steps are, fit registers, where looking up costs one permutation.
/// </summary>
internal static class RansWideEncoder
{
    private const int Lanes = 16;
    private const int Words = 32;
    private const int MostSymbols = 4 * Words;

    private static readonly Vector512<uint> Order = Vector512.Create(0u, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

    /// <summary>Whether the symbols that occur lie near enough together.</summary>
    public static bool Takes(ReadOnlySpan<ushort> frequencies) =>
        frequencies.LastIndexOfAnyExcept((ushort)0) - frequencies.IndexOfAnyExcept((ushort)0) < MostSymbols;

    /// <param name="symbols">Whole rounds of <see cref="Rans.ManyLanes"/>.</param>
    /// <param name="frequencies">Frequencies that <see cref="Takes"/> takes.</param>
    /// <param name="states">One of each lane.</param>
    /// <param name="buffer">Before <paramref name="at"/> room for two bytes a symbol and the states.</param>
    /// <param name="at">Where the words begin that were written already.</param>
    public static void Encode(ReadOnlySpan<byte> symbols, ReadOnlySpan<ushort> frequencies, Span<uint> states, Span<byte> buffer, ref int at)
    {
        var first = frequencies.IndexOfAnyExcept((ushort)0);
        var count = frequencies.LastIndexOfAnyExcept((ushort)0) - first + 1;
        Span<ushort> widths = stackalloc ushort[MostSymbols];
        Span<ushort> starts = stackalloc ushort[MostSymbols];
        var start = 0;
        for (var symbol = 0; symbol < count; symbol++)
        {
            widths[symbol] = frequencies[first + symbol];
            starts[symbol] = (ushort)start;
            start += widths[symbol];
        }

        widths[count..].Fill(1);
        starts[count..].Clear();
        if (count <= 2 * Words)
        {
            Encode<NearSymbols>(symbols, (byte)first, widths, starts, states, buffer, ref at);
        }
        else
        {
            Encode<FarSymbols>(symbols, (byte)first, widths, starts, states, buffer, ref at);
        }
    }

    private static void Encode<TReach>(
        ReadOnlySpan<byte> symbols, byte first, ReadOnlySpan<ushort> widths, ReadOnlySpan<ushort> starts, Span<uint> states, Span<byte> buffer, ref int end)
        where TReach : struct
    {
        ref var symbol = ref MemoryMarshal.GetReference(symbols);
        ref var bytes = ref MemoryMarshal.GetReference(buffer);
        var at = end;
        var zero = Vector256.Create(first);
        var (w0, w1, w2, w3) = Registers(widths);
        var (s0, s1, s2, s3) = Registers(starts);
        var lower = Vector512.Create<uint>(states);
        var upper = Vector512.Create<uint>(states[Lanes..]);

        // Each step writes thirty-two bytes before the words so far: the states' place and the words to come leave room for all.
        for (var index = symbols.Length - Rans.ManyLanes; index >= 0; index -= Rans.ManyLanes)
        {
            var place = Avx512BW.ConvertToVector512UInt16(Vector256.LoadUnsafe(ref symbol, (nuint)index) - zero);
            var width = Avx512BW.PermuteVar32x16x2(w0, place, w1);
            var start = Avx512BW.PermuteVar32x16x2(s0, place, s1);
            if (typeof(TReach) == typeof(FarSymbols))
            {
                var isFar = Vector512.GreaterThan(place, Vector512.Create((ushort)((2 * Words) - 1)));
                width = Vector512.ConditionalSelect(isFar, Avx512BW.PermuteVar32x16x2(w2, place, w3), width);
                start = Vector512.ConditionalSelect(isFar, Avx512BW.PermuteVar32x16x2(s2, place, s3), start);
            }

            Step(ref upper, Avx512F.ConvertToVector512UInt32(width.GetUpper()), Avx512F.ConvertToVector512UInt32(start.GetUpper()), ref bytes, ref at);
            Step(ref lower, Avx512F.ConvertToVector512UInt32(width.GetLower()), Avx512F.ConvertToVector512UInt32(start.GetLower()), ref bytes, ref at);
        }

        lower.CopyTo(states);
        upper.CopyTo(states[Lanes..]);
        end = at;
    }

    private static (Vector512<ushort> First, Vector512<ushort> Second, Vector512<ushort> Third, Vector512<ushort> Fourth) Registers(ReadOnlySpan<ushort> table) =>
        (Vector512.Create(table), Vector512.Create(table[Words..]), Vector512.Create(table[(2 * Words)..]), Vector512.Create(table[(3 * Words)..]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(ref Vector512<uint> states, Vector512<uint> frequency, Vector512<uint> start, ref byte bytes, ref int at)
    {
        // Lanes that are too full give their lower words, which go to the end of a vector and so before the words that are there.
        var gives = Vector512.GreaterThanOrEqual(states >>> (32 - SymbolFrequencies.Bits), frequency);
        var count = BitOperations.PopCount(gives.ExtractMostSignificantBits());
        var given = Avx512F.Compress(Vector512<uint>.Zero, gives, states);
        var words = Avx512F.ConvertToVector256UInt16(Avx512F.PermuteVar16x32(given, Order + Vector512.Create((uint)count)));
        words.AsByte().StoreUnsafe(ref Unsafe.Add(ref bytes, at - Vector256<byte>.Count));
        at -= sizeof(ushort) * count;

        // Rounded towards zero, a quotient of at most twenty bits is the quotient or one less, which its remainder shows.
        var value = Vector512.ConditionalSelect(gives, states >>> 16, states);
        var number = Avx512F.Divide(
            Avx512F.ConvertToVector512Single(value, FloatRoundingMode.ToZero), Avx512F.ConvertToVector512Single(frequency), FloatRoundingMode.ToZero);
        var quotient = Avx512F.ConvertToVector512UInt32WithTruncation(number);
        var rest = value - Avx512F.MultiplyLow(quotient.AsInt32(), frequency.AsInt32()).AsUInt32();
        var isLess = Vector512.GreaterThanOrEqual(rest, frequency);
        var next = (quotient << SymbolFrequencies.Bits) + rest + start;
        states = next + (isLess & (Vector512.Create((uint)SymbolFrequencies.Total) - frequency));
    }

    /// <summary>Up to 64 neighbouring symbols.</summary>
    private readonly struct NearSymbols;

    /// <summary>Up to 128.</summary>
    private readonly struct FarSymbols;
}
