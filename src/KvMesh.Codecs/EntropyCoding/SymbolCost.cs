namespace KvMesh.Codecs.EntropyCoding;

/// <summary>What a table makes of given symbols, in integers: which of two tables is written must not depend on the machine.</summary>
internal static class SymbolCost
{
    /// <summary>Parts of a bit.</summary>
    public const int Unit = 256;

    /// <summary>By how much the entropy of a sample is too small for each symbol in it: half a natural unit (Miller and Madow).</summary>
    public const int OfSampling = 185;

    private static readonly int[] Costs = [.. Enumerable.Range(0, SymbolFrequencies.Total + 1).Select(CostOf)];

    /// <summary>Bits × <see cref="Unit"/>; the greatest number when a symbol occurs that the table does not have.</summary>
    public static long Of(ReadOnlySpan<int> counts, ReadOnlySpan<ushort> frequencies)
    {
        long cost = 0;
        for (var symbol = 0; symbol < SymbolFrequencies.SymbolCount; symbol++)
        {
            if (counts[symbol] > 0 && frequencies[symbol] == 0)
            {
                return long.MaxValue;
            }

            cost += (long)counts[symbol] * Costs[frequencies[symbol]];
        }

        return cost;
    }

    /// <summary>Bits × <see cref="Unit"/> of counted symbols with a law of exactly these shares.</summary>
    public static long Entropy(ReadOnlySpan<int> counts)
    {
        long total = 0, own = 0;
        foreach (var count in counts)
        {
            total += count;
            own += count == 0 ? 0 : count * (long)Logarithm(count);
        }

        return total == 0 ? 0 : (total * Logarithm((int)total)) - own;
    }

    /// <summary>log₂ × <see cref="Unit"/> of a number above zero, from its twelve highest bits.</summary>
    private static int Logarithm(int number)
    {
        var lost = Math.Max(0, int.Log2(number) - SymbolFrequencies.Bits + 1);
        return ((SymbolFrequencies.Bits + lost) * Unit) - Costs[number >> lost];
    }

    /// <summary>−log₂ of a frequency's share, bit by bit: squaring a number of 1 to 2 doubles its logarithm.</summary>
    private static int CostOf(int frequency)
    {
        if (frequency == 0)
        {
            return 0;
        }

        var whole = int.Log2(frequency);
        var number = (ulong)frequency << (31 - whole);
        var fraction = 0;
        for (var bit = Unit / 2; bit > 0; bit /= 2)
        {
            number = (number * number) >> 31;
            if (number >> 32 != 0)
            {
                number >>= 1;
                fraction += bit;
            }
        }

        return ((SymbolFrequencies.Bits - whole) * Unit) - fraction;
    }
}
