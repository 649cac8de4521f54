namespace KvMesh.Dashboard.Board;

/// <summary>Maps values to heights between 0 (bottom) and 1 (top).</summary>
public sealed record ChartScale(double Min, double Max, bool IsLogarithmic, IReadOnlyList<double> Ticks)
{
    /// <summary>0 to 100 %.</summary>
    public static ChartScale Share { get; } = new(0, 1, IsLogarithmic: false, [0, 0.5, 1]);

    /// <summary>From 0 to a round number over the largest value, at least <paramref name="least"/>.</summary>
    public static ChartScale Linear(IEnumerable<double?> values, double least)
    {
        var largest = Math.Max(least, values.Max() ?? 0);
        var decade = Math.Pow(10, Math.Floor(Math.Log10(largest)));
        var max = (largest / decade) switch
        {
            <= 1 => decade,
            <= 2 => 2 * decade,
            <= 4 => 4 * decade,
            <= 6 => 6 * decade,
            _ => 10 * decade,
        };
        return new ChartScale(0, max, IsLogarithmic: false, [0, max / 2, max]);
    }

    /// <summary>Whole decades around the values, so that 100 µs and 100 ms are both readable.</summary>
    public static ChartScale Logarithmic(IReadOnlyCollection<double?> values)
    {
        var smallest = Math.Max(1, values.Min() ?? 10);
        var largest = Math.Max(smallest, values.Max() ?? 1000);
        var low = Math.Floor(Math.Log10(smallest));
        var high = Math.Max(low + 1, Math.Ceiling(Math.Log10(largest)));
        var ticks = Enumerable.Range((int)low, (int)(high - low) + 1).Select(power => Math.Pow(10, power)).ToArray();
        return new ChartScale(Math.Pow(10, low), Math.Pow(10, high), IsLogarithmic: true, ticks);
    }

    public double HeightOf(double value) => Math.Clamp(
        IsLogarithmic ? Math.Log10(Math.Max(value, Min) / Min) / Math.Log10(Max / Min) : (value - Min) / (Max - Min), 0, 1);
}
