using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvMesh.Codecs.EntropyCoding;

/// <summary>
/// How often each of 256 symbols occurs, in parts of 4,096: what an entropy coder works with. Every symbol that occurs has at least one part,
/// and none has all, so that each fits 12 bits. Stored as the first symbol, the number of symbols less one, and 12 bits for each.
/// </summary>
internal static class SymbolFrequencies
{
    public const int Bits = 12;
    public const int Total = 1 << Bits;
    public const int SymbolCount = 256;

    /// <summary>Most bytes of a stored table.</summary>
    public const int MaxStoredBytes = 2 + (SymbolCount * Bits / 8);

    private const int MostOfOne = Total - 1;

    /// <summary>Counts how often each symbol occurs.</summary>
    public static void Count(ReadOnlySpan<byte> symbols, Span<int> counts)
    {
        // Eight tables, because the next of the same symbol waits for the addition before it. An index is a byte, and each table has one for each.
        const int Tables = sizeof(ulong);
        Span<int> tables = stackalloc int[Tables * SymbolCount];
        tables.Clear();
        ref var table = ref MemoryMarshal.GetReference(tables);
        ref var symbol = ref MemoryMarshal.GetReference(symbols);
        var at = 0;
        for (; at + sizeof(ulong) <= symbols.Length; at += sizeof(ulong))
        {
            var eight = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref symbol, at));
            Unsafe.Add(ref table, (int)(byte)eight)++;
            Unsafe.Add(ref table, SymbolCount + (int)(byte)(eight >> 8))++;
            Unsafe.Add(ref table, (2 * SymbolCount) + (int)(byte)(eight >> 16))++;
            Unsafe.Add(ref table, (3 * SymbolCount) + (int)(byte)(eight >> 24))++;
            Unsafe.Add(ref table, (4 * SymbolCount) + (int)(byte)(eight >> 32))++;
            Unsafe.Add(ref table, (5 * SymbolCount) + (int)(byte)(eight >> 40))++;
            Unsafe.Add(ref table, (6 * SymbolCount) + (int)(byte)(eight >> 48))++;
            Unsafe.Add(ref table, (7 * SymbolCount) + (int)(eight >> 56))++;
        }

        for (; at < symbols.Length; at++)
        {
            tables[symbols[at]]++;
        }

        for (var value = 0; value < SymbolCount; value += Vector<int>.Count)
        {
            var sum = new Vector<int>(tables[value..]);
            for (var other = 1; other < Tables; other++)
            {
                sum += new Vector<int>(tables[((other * SymbolCount) + value)..]);
            }

            sum.CopyTo(counts[value..]);
        }
    }

    /// <summary>Turns counts into frequencies whose sum is <see cref="Total"/>. At least one count is above zero.</summary>
    public static void Normalise(ReadOnlySpan<int> counts, Span<ushort> frequencies)
    {
        long total = 0;
        foreach (var count in counts)
        {
            total += count;
        }

        var sum = 0;
        for (var symbol = 0; symbol < SymbolCount; symbol++)
        {
            var share = (int)((((long)counts[symbol] * Total) + (total / 2)) / total);
            var frequency = counts[symbol] == 0 ? 0 : Math.Clamp(share, 1, MostOfOne);
            frequencies[symbol] = (ushort)frequency;
            sum += frequency;
        }

        // What rounding left over or took too much is settled where a part more or less costs least: with the most frequent ones.
        while (sum != Total)
        {
            var most = MostFrequent(frequencies);
            if (sum < Total && frequencies[most] == MostOfOne)
            {
                frequencies[most == 0 ? 1 : most - 1]++;
                sum++;
                continue;
            }

            var change = Math.Clamp(Total - sum, -Math.Max(1, frequencies[most] / 8), MostOfOne - frequencies[most]);
            frequencies[most] = (ushort)(frequencies[most] + change);
            sum += change;
        }
    }

    /// <summary>Writes a table; returns its bytes, at most <see cref="MaxStoredBytes"/>.</summary>
    public static int Write(ReadOnlySpan<ushort> frequencies, Span<byte> destination)
    {
        var first = frequencies.IndexOfAnyExcept((ushort)0);
        var count = frequencies.LastIndexOfAnyExcept((ushort)0) - first + 1;
        destination[0] = (byte)first;
        destination[1] = (byte)(count - 1);
        var at = 2;
        for (var index = 0; index < count; index += 2)
        {
            var low = frequencies[first + index];
            var high = index + 1 < count ? frequencies[first + index + 1] : 0;
            destination[at++] = (byte)low;
            destination[at++] = (byte)((low >> 8) | (high << 4));
            if (index + 1 < count)
            {
                destination[at++] = (byte)(high >> 4);
            }
        }

        return at;
    }

    /// <summary>Reads a table that nobody vouches for.</summary>
    /// <returns>Its bytes; 0 when it is cut or its sum is not <see cref="Total"/>.</returns>
    public static int TryRead(ReadOnlySpan<byte> source, Span<ushort> frequencies)
    {
        frequencies[..SymbolCount].Clear();
        if (source.Length < 2)
        {
            return 0;
        }

        int first = source[0], count = source[1] + 1;
        var bytes = 2 + (((count * Bits) + 7) / 8);
        if (first + count > SymbolCount || source.Length < bytes)
        {
            return 0;
        }

        var sum = 0;
        for (var index = 0; index < count; index++)
        {
            var at = 2 + (index / 2 * 3);
            var frequency = index % 2 == 0 ? source[at] | ((source[at + 1] & 15) << 8) : (source[at + 1] >> 4) | (source[at + 2] << 4);
            frequencies[first + index] = (ushort)frequency;
            sum += frequency;
        }

        return sum == Total ? bytes : 0;
    }

    private static int MostFrequent(ReadOnlySpan<ushort> frequencies)
    {
        var most = 0;
        for (var symbol = 1; symbol < SymbolCount; symbol++)
        {
            most = frequencies[symbol] > frequencies[most] ? symbol : most;
        }

        return most;
    }
}
