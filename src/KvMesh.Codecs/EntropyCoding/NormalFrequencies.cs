namespace KvMesh.Codecs.EntropyCoding;

/// <summary>
/// Frequencies of normally distributed numbers in even steps: what steps of standardised channels follow without a table of their own. Tails are
/// heavier than normal ones. Additions and multiplications only, so that tables are the same bits on every machine.
/// </summary>
internal static class NormalFrequencies
{
    /// <summary>The symbol of step zero; a step is its symbol less this.</summary>
    public const int Zero = 128;

    private const double Reach = 6;
    private const double TailShare = 0.1;
    private const double TailSpread = 1.7;

    /// <summary>The table of steps of <paramref name="step"/> standard deviations. Steps beyond six deviations have no frequency.</summary>
    public static ushort[] Make(float step)
    {
        var weights = new double[SymbolFrequencies.SymbolCount];
        double sum = 0;
        for (var symbol = 1; symbol < weights.Length; symbol++)
        {
            var distance = (symbol - Zero) * (double)step;
            if (Math.Abs(distance) <= Math.Max(Reach, step))
            {
                weights[symbol] = Density(distance);
                sum += weights[symbol];
            }
        }

        var counts = new int[SymbolFrequencies.SymbolCount];
        for (var symbol = 1; symbol < weights.Length; symbol++)
        {
            counts[symbol] = weights[symbol] == 0 ? 0 : 1 + (int)(weights[symbol] / sum * 1_000_000);
        }

        var table = new ushort[SymbolFrequencies.SymbolCount];
        SymbolFrequencies.Normalise(counts, table);
        return table;
    }

    /// <summary>How much more often than others a number so many deviations from the middle occurs, but for a factor.</summary>
    public static double Density(double distance) => ((1 - TailShare) * Bell(distance)) + (TailShare / TailSpread * Bell(distance / TailSpread));

    /// <summary>exp(−x² / 2) as a power, by squaring.</summary>
    public static double Bell(double x)
    {
        const int Squarings = 16;
        var power = Math.Max(0, 1 - (x * x / 2 / (1 << Squarings)));
        for (var squaring = 0; squaring < Squarings; squaring++)
        {
            power *= power;
        }

        return power;
    }
}
