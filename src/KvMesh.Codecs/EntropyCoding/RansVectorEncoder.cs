using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvMesh.Codecs.EntropyCoding;

/// <summary>Writes streams of <see cref="Rans"/> eight symbols at a time, with AVX2: the same bytes as one at a time.</summary>
internal static class RansVectorEncoder
{
    private const int Lanes = 8;

    // Three roundings to singles make a quotient less than 2^-22 of itself too large: lowered by as much, it is the quotient or, since no quotient has more
    // than twenty bits, one less, which its remainder shows.
    private const float Lowered = 1 - (1f / (1 << 22));

    /// <summary>For each set of eight lanes the order that brings those in it to the end.</summary>
    private static readonly int[] ToTheEnd = MakeOrders();

    /// <param name="symbols">Whole rounds of <see cref="Rans.ManyLanes"/>.</param>
    /// <param name="contexts">The context of each, where the choice asks.</param>
    /// <param name="divisions">Of all contexts.</param>
    /// <param name="states">One of each lane.</param>
    /// <param name="buffer">Before <paramref name="at"/> room for two bytes a symbol and the states.</param>
    /// <param name="at">Where the words begin that were written already.</param>
    public static unsafe void Encode<TChoice>(
        ReadOnlySpan<byte> symbols, ReadOnlySpan<byte> contexts, ReadOnlySpan<Rans.Division> divisions, Span<uint> states, Span<byte> buffer, ref int at)
        where TChoice : struct, ITableChoice
    {
        ref var symbol = ref MemoryMarshal.GetReference(symbols);
        ref var context = ref MemoryMarshal.GetReference(contexts);
        ref var bytes = ref MemoryMarshal.GetReference(buffer);
        var a = Vector256.Create<uint>(states);
        var b = Vector256.Create<uint>(states[Lanes..]);
        var c = Vector256.Create<uint>(states[(2 * Lanes)..]);
        var d = Vector256.Create<uint>(states[(3 * Lanes)..]);

        // The bounds of every gather are those of the divisions: contexts are below their number, and the rest of an index is a symbol. Each step writes
        // sixteen bytes before the words so far, of which the states' place and the words to come leave room for all.
        fixed (Rans.Division* first = divisions)
        fixed (int* orders = ToTheEnd)
        {
            var places = (int*)first + Rans.Division.PlaceInteger;
            for (var index = symbols.Length - Rans.ManyLanes; index >= 0; index -= Rans.ManyLanes)
            {
                Step(ref d, Places<TChoice>(ref symbol, ref context, index + (3 * Lanes)), places, orders, ref bytes, ref at);
                Step(ref c, Places<TChoice>(ref symbol, ref context, index + (2 * Lanes)), places, orders, ref bytes, ref at);
                Step(ref b, Places<TChoice>(ref symbol, ref context, index + Lanes), places, orders, ref bytes, ref at);
                Step(ref a, Places<TChoice>(ref symbol, ref context, index), places, orders, ref bytes, ref at);
            }
        }

        a.CopyTo(states);
        b.CopyTo(states[Lanes..]);
        c.CopyTo(states[(2 * Lanes)..]);
        d.CopyTo(states[(3 * Lanes)..]);
    }

    /// <summary>Where the divisions of eight symbols are, in integers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Places<TChoice>(ref byte symbols, ref byte contexts, int at)
        where TChoice : struct, ITableChoice
    {
        var index = Widen(ref symbols, at);
        return (typeof(TChoice) == typeof(OneTable) ? index : index + (Widen(ref contexts, at) << 8)) * Rans.Division.Integers;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Widen(ref byte bytes, int at) =>
        Avx2.ConvertToVector256Int32(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref bytes, at))).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe void Step(ref Vector256<uint> states, Vector256<int> index, int* places, int* orders, ref byte bytes, ref int at)
    {
        var place = Avx2.GatherVector256(places, index, sizeof(int));
        var frequency = place & Vector256.Create(SymbolFrequencies.Total - 1);
        var gives = Avx2.CompareGreaterThan((states >>> (32 - SymbolFrequencies.Bits)).AsInt32(), frequency - Vector256<int>.One);
        var mask = Avx.MoveMask(gives.AsSingle());
        var words = Avx2.PermuteVar8x32(states.AsInt32(), Avx.LoadVector256(orders + (mask * Lanes))) & Vector256.Create(0xFFFF);
        var packed = Avx2.Permute4x64(Avx2.PackUnsignedSaturate(words, words).AsInt64(), 0b00_00_10_00).GetLower();
        packed.AsByte().StoreUnsafe(ref Unsafe.Add(ref bytes, at - Vector128<byte>.Count));
        at -= sizeof(ushort) * BitOperations.PopCount((uint)mask);

        var value = Avx2.BlendVariable(states, states >>> 16, gives.AsUInt32());
        var upper = Avx.ConvertToVector256Single((value >>> 16).AsInt32());
        var lower = Avx.ConvertToVector256Single((value & Vector256.Create(0xFFFFu)).AsInt32());
        var number = ((upper * Vector256.Create(65_536f)) + lower) * Vector256.Create(Lowered);
        var quotient = Avx.ConvertToVector256Int32WithTruncation(number / Avx.ConvertToVector256Single(frequency));
        var rest = value.AsInt32() - Avx2.MultiplyLow(quotient, frequency);
        var isLess = Avx2.CompareGreaterThan(rest, frequency - Vector256<int>.One);
        var more = isLess & (Vector256.Create(SymbolFrequencies.Total) - frequency);
        states = ((quotient << SymbolFrequencies.Bits) + rest + (place >>> SymbolFrequencies.Bits) + more).AsUInt32();
    }

    private static int[] MakeOrders()
    {
        var orders = new int[256 * Lanes];
        for (var mask = 0; mask < 256; mask++)
        {
            var to = ((mask + 1) * Lanes) - BitOperations.PopCount((uint)mask);
            for (var lane = 0; lane < Lanes; lane++)
            {
                if ((mask & (1 << lane)) != 0)
                {
                    orders[to++] = lane;
                }
            }
        }

        return orders;
    }
}
