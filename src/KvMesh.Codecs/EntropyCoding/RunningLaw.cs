namespace KvMesh.Codecs.EntropyCoding;

/// <summary>
/// Laws of whole numbers by what was seen of them: bells of many widths that begin between two numbers, and for every mean and variance the one
/// that takes least bits. Additions and multiplications only, so that tables are the same bits on every machine.
/// </summary>
internal static class RunningLaw
{
    /// <summary>The symbol of zero; a number is its symbol less this, plus the centre it was coded around.</summary>
    public const int Zero = 128;

    /// <summary>The symbol of what lies beyond a law.</summary>
    public const byte Escape = 0;

    /// <summary>Numbers farther from the centre have no symbol.</summary>
    public const int Farthest = 127;

    private const int MeanParts = 16;
    private const int MeanCells = MeanParts + 1;
    private const int VarianceBits = 3;
    private const int LeastExponent = -12;
    private const int Octaves = 24;
    private const int VarianceCells = Octaves << VarianceBits;

    private const int Offsets = 8;
    private const int FirstOffset = -3;
    private const int Widths = 20;
    private const double LeastWidth = 0.2;
    private const double WidthRatio = 1.34;
    private const double Reach = 6;
    private const double LeastReach = 3;
    private const double TailShare = 0.01;
    private const double TailWidth = 3;
    private const double Log2OfE = 1.4426950408889634;
    private const int Weight = 1_000_000;

    private static readonly double[] WidthOf = MakeWidths();
    private static readonly byte[] Choices = MakeChoices();

    /// <summary>A law for each context.</summary>
    public static ContextTables Tables { get; } = new([.. Enumerable.Range(0, Widths * Offsets).Select(MakeTable)]);

    /// <summary>The law for numbers of a mean, which lies within half of the centre, and a variance.</summary>
    public static byte Choose(float mean, float variance)
    {
        var meanCell = Math.Clamp((int)(((mean + 0.5f) * MeanParts) + 0.5f), 0, MeanCells - 1);
        var cell = (BitConverter.SingleToInt32Bits(MathF.Max(variance, 0)) >> (23 - VarianceBits)) - ((127 + LeastExponent) << VarianceBits);
        return Choices[(Math.Clamp(cell, 0, VarianceCells - 1) * MeanCells) + meanCell];
    }

    private static double[] MakeWidths()
    {
        var widths = new double[Widths];
        var width = LeastWidth;
        foreach (ref var one in widths.AsSpan())
        {
            one = width;
            width *= WidthRatio;
        }

        return widths;
    }

    private static double OffsetOf(int context) => (FirstOffset + (context % Offsets)) / (double)Offsets;

    private static ushort[] MakeTable(int context)
    {
        var (width, offset) = (WidthOf[context / Offsets], OffsetOf(context));
        var reach = Math.Max(LeastReach, Reach * width);
        var weights = new double[SymbolFrequencies.SymbolCount];
        double sum = 0;
        for (var number = -Farthest; number <= Farthest; number++)
        {
            var distance = (number - offset) / width;
            if (Math.Abs(number - offset) <= reach)
            {
                weights[number + Zero] = ((1 - TailShare) * NormalFrequencies.Bell(distance)) + (TailShare / TailWidth * NormalFrequencies.Bell(distance / TailWidth));
                sum += weights[number + Zero];
            }
        }

        var counts = new int[SymbolFrequencies.SymbolCount];
        counts[Escape] = 1;
        for (var number = -Farthest; number <= Farthest; number++)
        {
            var isNear = Math.Abs(number - offset) <= reach;
            counts[number + Zero] = isNear ? 1 + (int)(weights[number + Zero] / sum * Weight) : 0;
        }

        var table = new ushort[SymbolFrequencies.SymbolCount];
        SymbolFrequencies.Normalise(counts, table);
        return table;
    }

    /// <summary>What a bell of width w around a costs numbers of mean m and variance v: (v + (m − a)²) ÷ 2w² and the logarithm of its sum.</summary>
    private static byte[] MakeChoices()
    {
        var sums = new double[Widths * Offsets];
        for (var context = 0; context < sums.Length; context++)
        {
            double sum = 0;
            for (var number = -Farthest; number <= Farthest; number++)
            {
                sum += NormalFrequencies.Bell((number - OffsetOf(context)) / WidthOf[context / Offsets]);
            }

            sums[context] = Log2(sum);
        }

        var choices = new byte[VarianceCells * MeanCells];
        for (var cell = 0; cell < choices.Length; cell++)
        {
            // Whole numbers of a mean between two of them vary at least as those two do.
            var mean = ((cell % MeanCells) / (double)MeanParts) - 0.5;
            var variance = Math.Max(VarianceAt(cell / MeanCells), Math.Abs(mean) * (1 - Math.Abs(mean)));
            var least = double.MaxValue;
            for (var context = 0; context < sums.Length; context++)
            {
                var (width, distance) = (WidthOf[context / Offsets], mean - OffsetOf(context));
                var cost = ((variance + (distance * distance)) / (2 * width * width) * Log2OfE) + sums[context];
                if (cost < least)
                {
                    (least, choices[cell]) = (cost, (byte)context);
                }
            }
        }

        return choices;
    }

    /// <summary>The middle of a cell.</summary>
    private static double VarianceAt(int cell)
    {
        var (octave, part) = (cell >> VarianceBits, cell & ((1 << VarianceBits) - 1));
        return Math.ScaleB(1 + ((part + 0.5) / (1 << VarianceBits)), octave + LeastExponent);
    }

    /// <summary>Bit by bit: squaring a number of 1 to 2 doubles its logarithm.</summary>
    private static double Log2(double number)
    {
        double whole = 0;
        for (; number >= 2; number /= 2)
        {
            whole++;
        }

        for (; number < 1; number *= 2)
        {
            whole--;
        }

        for (var bit = 0.5; bit > 1e-9; bit /= 2)
        {
            number *= number;
            if (number >= 2)
            {
                number /= 2;
                whole += bit;
            }
        }

        return whole;
    }
}
