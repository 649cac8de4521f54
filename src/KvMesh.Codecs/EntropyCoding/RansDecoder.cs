using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.EntropyCoding;

/// <summary>Reads streams of <see cref="Rans"/>. Nothing in a stream makes it read beyond stream or table.</summary>
internal static class RansDecoder
{
    /// <summary>Entries of a decoding table: one for each part of the total. Symbol in bits 0 to 7, frequency in 8 to 19, place within the symbol in 20 to 31.</summary>
    public const int TableLength = SymbolFrequencies.Total;

    private const uint SlotMask = SymbolFrequencies.Total - 1;

    /// <summary>For each set of eight lanes the order in which they take words.</summary>
    internal static readonly int[] WordOrders = MakeWordOrders();

    public static void FillTable(ReadOnlySpan<ushort> frequencies, Span<uint> table)
    {
        var at = 0;
        for (var symbol = 0u; symbol < SymbolFrequencies.SymbolCount; symbol++)
        {
            uint frequency = frequencies[(int)symbol];
            var entry = symbol | (frequency << 8);
            foreach (ref var slot in table.Slice(at, (int)frequency))
            {
                slot = entry;
                entry += 1u << 20;
            }

            at += (int)frequency;
        }
    }

    /// <summary>Decodes exactly <paramref name="symbols"/>. False when the stream is not one of as many symbols and of this table.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> stream, ReadOnlySpan<uint> table, Span<byte> symbols, SimdLevel level)
    {
        var lanes = Rans.Lanes(symbols.Length);
        var stateBytes = lanes * sizeof(uint);
        if (stream.Length < stateBytes || (stream.Length - stateBytes) % sizeof(ushort) != 0)
        {
            return false;
        }

        Span<uint> states = stackalloc uint[lanes];
        for (var lane = 0; lane < lanes; lane++)
        {
            states[lane] = BinaryPrimitives.ReadUInt32LittleEndian(stream[(lane * sizeof(uint))..]);
        }

        var words = stream[stateBytes..];
        var (done, read) = level >= SimdLevel.Vector256 && lanes == Rans.ManyLanes ? DecodeVectors(words, table, symbols, states) : (0, 0);
        for (; done < symbols.Length; done++)
        {
            if (!TryStep(ref states[done & (lanes - 1)], table, words, ref read, out symbols[done]))
            {
                return false;
            }
        }

        return read == words.Length && !states.ContainsAnyExcept(Rans.LeastState);
    }

    /// <summary>Four vectors of eight lanes, as long as there are words enough for all of them and whole rounds of symbols.</summary>
    private static unsafe (int Symbols, int Bytes) DecodeVectors(ReadOnlySpan<byte> words, ReadOnlySpan<uint> table, Span<byte> symbols, Span<uint> states)
    {
        var read = 0;
        var done = 0;
        ref var word = ref MemoryMarshal.GetReference(words);
        ref var symbol = ref MemoryMarshal.GetReference(symbols);
        var a = Vector256.Create<uint>(states);
        var b = Vector256.Create<uint>(states[8..]);
        var c = Vector256.Create<uint>(states[16..]);
        var d = Vector256.Create<uint>(states[24..]);

        // The bounds of every gather are those of the table: its index is a slot.
        fixed (uint* slots = table)
        fixed (int* orders = WordOrders)
        {
            const int RoundBytes = Rans.ManyLanes * sizeof(ushort);
            for (; done + Rans.ManyLanes <= symbols.Length && words.Length - read >= RoundBytes; done += Rans.ManyLanes)
            {
                var first = Step(ref a, Slots(a), slots, orders, ref word, ref read);
                var second = Step(ref b, Slots(b), slots, orders, ref word, ref read);
                var third = Step(ref c, Slots(c), slots, orders, ref word, ref read);
                var fourth = Step(ref d, Slots(d), slots, orders, ref word, ref read);
                Lanes.ToBytes(first, second, third, fourth).StoreUnsafe(ref symbol, (nuint)done);
            }
        }

        a.CopyTo(states);
        b.CopyTo(states[8..]);
        c.CopyTo(states[16..]);
        d.CopyTo(states[24..]);
        return (done, read);
    }

    /// <summary>One symbol of one lane; false when there is no word that it needs to go on.</summary>
    /// <param name="state">The state of the lane.</param>
    /// <param name="table">The table of the symbol.</param>
    /// <param name="words">The words of the stream.</param>
    /// <param name="read">Bytes that were read.</param>
    /// <param name="symbol">What was read.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool TryStep(ref uint state, ReadOnlySpan<uint> table, ReadOnlySpan<byte> words, ref int read, out byte symbol)
    {
        var entry = table[(int)(state & SlotMask)];
        symbol = (byte)entry;
        state = (((entry >> 8) & SlotMask) * (state >> SymbolFrequencies.Bits)) + (entry >> 20);
        if (state >= Rans.LeastState)
        {
            return true;
        }

        if (words.Length - read < sizeof(ushort))
        {
            return false;
        }

        state = (state << 16) | BinaryPrimitives.ReadUInt16LittleEndian(words[read..]);
        read += sizeof(ushort);
        return true;
    }

    /// <summary>One symbol of each of eight lanes.</summary>
    /// <param name="states">The states of the lanes.</param>
    /// <param name="slots">Where in the table each looks.</param>
    /// <param name="table">The table, or tables one behind the other.</param>
    /// <param name="orders"><see cref="WordOrders"/>.</param>
    /// <param name="words">The words of the stream; sixteen bytes can be read.</param>
    /// <param name="read">Bytes that were read.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static unsafe Vector256<int> Step(ref Vector256<uint> states, Vector256<int> slots, uint* table, int* orders, ref byte words, ref int read)
    {
        var entries = Avx2.GatherVector256(table, slots, sizeof(uint));
        var frequencies = (entries >>> 8) & Vector256.Create(SlotMask);
        var next = Avx2.MultiplyLow(frequencies.AsInt32(), (states >>> SymbolFrequencies.Bits).AsInt32()).AsUInt32() + (entries >>> 20);

        // Lanes that fell below the least state take the next words, in their order.
        var wanting = Avx2.CompareEqual((next >>> 16).AsInt32(), Vector256<int>.Zero);
        var mask = Avx.MoveMask(wanting.AsSingle());
        var wide = Avx2.ConvertToVector256Int32(Unsafe.ReadUnaligned<Vector128<ushort>>(ref Unsafe.Add(ref words, read)));
        var taken = Avx2.PermuteVar8x32(wide, Avx.LoadVector256(orders + (mask * 8))).AsUInt32();
        states = Avx2.BlendVariable(next, (next << 16) | taken, wanting.AsUInt32());
        read += sizeof(ushort) * BitOperations.PopCount((uint)mask);
        return (entries & Vector256.Create(0xFFu)).AsInt32();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Slots(Vector256<uint> states) => (states & Vector256.Create(SlotMask)).AsInt32();

    /// <summary>For each set of wanting lanes, which of the next words each lane takes.</summary>
    private static int[] MakeWordOrders()
    {
        var orders = new int[256 * 8];
        for (var mask = 0; mask < 256; mask++)
        {
            var next = 0;
            for (var lane = 0; lane < 8; lane++)
            {
                orders[(mask * 8) + lane] = (mask & (1 << lane)) != 0 ? next++ : 0;
            }
        }

        return orders;
    }
}
