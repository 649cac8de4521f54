using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.EntropyCoding;

/// <summary>
/// Interleaved range asymmetric numeral systems (Duda; streams of words after Giesen): many lanes, each with a state of 32 bits, take turns and
/// share one stream of 16-bit words, so that a vector codes as many symbols at once as it has lanes. Symbol i belongs to lane i mod lanes.
/// A stream is the states of all lanes and then the words, in the order in which a decoder wants them.
/// </summary>
internal static class Rans
{
    /// <summary>Lanes of a stream of many symbols, and of one of few, for which states would cost too much.</summary>
    public const int ManyLanes = 32;
    public const int FewLanes = 8;

    /// <summary>States lie from here up to 2^32; each begins and ends here.</summary>
    public const uint LeastState = 1 << 16;

    private const int FewSymbols = 8192;

    // A state is below 2^20 times the frequency when it is divided, and a frequency below 2^12: then one over it in 44 bits, rounded up, gives
    // the exact quotient, and the product fits 64 bits.
    private const int InverseBits = 44;

    /// <summary>Lanes of a stream, by what it holds.</summary>
    public static int Lanes(int symbols) => symbols < FewSymbols ? FewLanes : ManyLanes;

    /// <summary>Most bytes of a stream: twelve bits for a symbol of the least frequency, and the states.</summary>
    public static int MaxBytes(int symbols) => (Lanes(symbols) * sizeof(uint)) + (symbols * 2);

    /// <summary>Writes a stream to the end of <paramref name="buffer"/>.</summary>
    /// <param name="symbols">What to encode; each has a frequency above zero.</param>
    /// <param name="frequencies">Sum to <see cref="SymbolFrequencies.Total"/>.</param>
    /// <param name="buffer">At least <see cref="MaxBytes"/>.</param>
    /// <param name="level">Instructions to use.</param>
    /// <returns>Bytes of the stream.</returns>
    public static int EncodeBackwards(ReadOnlySpan<byte> symbols, ReadOnlySpan<ushort> frequencies, Span<byte> buffer, SimdLevel level)
    {
        Span<Division> divisions = stackalloc Division[SymbolFrequencies.SymbolCount];
        FillDivisions(frequencies, divisions);
        ArgumentOutOfRangeException.ThrowIfLessThan(buffer.Length, MaxBytes(symbols.Length));
        Span<uint> states = stackalloc uint[ManyLanes];
        states.Fill(LeastState);
        var at = buffer.Length;
        if (level >= SimdLevel.Vector512 && Lanes(symbols.Length) == ManyLanes && RansWideEncoder.Takes(frequencies))
        {
            var whole = symbols.Length & -ManyLanes;
            EncodeEach<OneTable>(symbols, whole, default, divisions, states, buffer, ref at);
            RansWideEncoder.Encode(symbols[..whole], frequencies, states, buffer, ref at);
            return Finish(states, ManyLanes, buffer, at);
        }

        return Encode<OneTable>(symbols, default, divisions, states, buffer, level);
    }

    /// <summary>As above, with the table of each symbol's context.</summary>
    /// <param name="symbols">What to encode; each has a frequency above zero in its table.</param>
    /// <param name="contexts">The context of each.</param>
    /// <param name="divisions">For one context after the other those of all symbols.</param>
    /// <param name="buffer">At least <see cref="MaxBytes"/>.</param>
    /// <param name="level">Instructions to use.</param>
    public static int EncodeBackwards(
        ReadOnlySpan<byte> symbols, ReadOnlySpan<byte> contexts, ReadOnlySpan<Division> divisions, Span<byte> buffer, SimdLevel level)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(buffer.Length, MaxBytes(symbols.Length));
        Span<uint> states = stackalloc uint[ManyLanes];
        states.Fill(LeastState);
        return Encode<TableOfContext>(symbols, contexts[..symbols.Length], divisions, states, buffer, level);
    }

    internal static void FillDivisions(ReadOnlySpan<ushort> frequencies, Span<Division> divisions)
    {
        var start = 0u;
        for (var symbol = 0; symbol < SymbolFrequencies.SymbolCount; symbol++)
        {
            uint frequency = frequencies[symbol];
            divisions[symbol] = frequency == 0 ? default : new Division(((1UL << InverseBits) + frequency - 1) / frequency, frequency, start);
            start += frequency;
        }
    }

    private static int Encode<TChoice>(
        ReadOnlySpan<byte> symbols, ReadOnlySpan<byte> contexts, ReadOnlySpan<Division> divisions, Span<uint> states, Span<byte> buffer, SimdLevel level)
        where TChoice : struct, ITableChoice
    {
        var at = buffer.Length;
        var lanes = Lanes(symbols.Length);
        var whole = level >= SimdLevel.Vector256 && lanes == ManyLanes ? symbols.Length & -ManyLanes : 0;
        EncodeEach<TChoice>(symbols, whole, contexts, divisions, states[..lanes], buffer, ref at);
        if (whole > 0)
        {
            RansVectorEncoder.Encode<TChoice>(symbols[..whole], contexts, divisions, states, buffer, ref at);
        }

        return Finish(states, lanes, buffer, at);
    }

    /// <summary>Symbols from the last to <paramref name="first"/>, one at a time. A decoder takes out last what went in first.</summary>
    private static void EncodeEach<TChoice>(
        ReadOnlySpan<byte> symbols, int first, ReadOnlySpan<byte> contexts, ReadOnlySpan<Division> divisions, Span<uint> states, Span<byte> buffer, ref int end)
        where TChoice : struct, ITableChoice
    {
        // A word is written at every symbol and kept where the state had to give one up: at most one for each, and behind the place of the states.
        ref var division = ref MemoryMarshal.GetReference(divisions);
        ref var context = ref MemoryMarshal.GetReference(contexts);
        ref var state = ref MemoryMarshal.GetReference(states);
        ref var bytes = ref MemoryMarshal.GetReference(buffer);
        var lanes = states.Length - 1;
        var at = end;
        for (var index = symbols.Length - 1; index >= first; index--)
        {
            ref readonly var symbol = ref Unsafe.Add(ref division, (TChoice.Of(ref context, index) << 8) + symbols[index]);
            ref var lane = ref Unsafe.Add(ref state, index & lanes);
            var value = lane;
            var frequency = symbol.Frequency;
            Unsafe.WriteUnaligned(ref Unsafe.Add(ref bytes, at - sizeof(ushort)), (ushort)value);
            var gives = value >> (32 - SymbolFrequencies.Bits) >= frequency ? 1 : 0;
            at -= gives * sizeof(ushort);
            value >>= gives * 16;
            var quotient = (uint)((value * symbol.Inverse) >> InverseBits);
            lane = value + symbol.Start + (quotient * (SymbolFrequencies.Total - frequency));
        }

        end = at;
    }

    private static int Finish(ReadOnlySpan<uint> states, int lanes, Span<byte> buffer, int at)
    {
        for (var lane = lanes - 1; lane >= 0; lane--)
        {
            at -= sizeof(uint);
            BinaryPrimitives.WriteUInt32LittleEndian(buffer[at..], states[lane]);
        }

        return buffer.Length - at;
    }

    /// <summary>A symbol as an encoder needs it: quotient × total + remainder + start is the state + start + quotient × (total − frequency).</summary>
    /// <param name="inverse">One over the frequency.</param>
    /// <param name="frequency">At most twelve bits, as the start.</param>
    /// <param name="start">Frequencies of all symbols before.</param>
    internal readonly struct Division(ulong inverse, uint frequency, uint start)
    {
        /// <summary>Integers of this struct, and which of them is <see cref="Place"/>: vectors gather it.</summary>
        public const int Integers = 4;
        public const int PlaceInteger = 2;

        public readonly ulong Inverse = inverse;

        /// <summary>Frequency in the lower twelve bits, start above.</summary>
        public readonly ulong Place = frequency | (start << SymbolFrequencies.Bits);

        public uint Frequency => (uint)Place & (SymbolFrequencies.Total - 1);

        public uint Start => (uint)Place >> SymbolFrequencies.Bits;
    }
}
