namespace KvMesh.Dashboard.Board;

/// <summary>What the values of a chart are; the script that shows a value under the pointer knows the same names.</summary>
public enum ChartUnit
{
    BytesPerSecond,
    PerSecond,
    Microseconds,
    Share,
}

/// <summary>One line of a chart, oldest value first; null where nothing was measured.</summary>
/// <param name="Tone">Name of its colour in the style sheet.</param>
/// <param name="Floor">Values that the filled area stands on; null: the bottom of the chart, without a fill when <paramref name="IsFilled"/> is false.</param>
public sealed record ChartSeries(string Name, string Tone, IReadOnlyList<double?> Values, Figure Now, bool IsFilled = false, IReadOnlyList<double?>? Floor = null)
{
    public bool IsEmpty => Values.All(value => value is null or 0);
}

/// <summary>One chart over a window of time.</summary>
/// <param name="IsStacked">Whether each line stands on the one before it, so that its value is the distance between them.</param>
public sealed record ChartModel(
    ChartUnit Unit, ChartScale Scale, IReadOnlyList<ChartSeries> Series, TimeWindow Window, bool IsStacked = false)
{
    public bool IsEmpty => Series.All(series => series.IsEmpty);

    /// <summary>A round number beside a line of the grid: "6 GB/s", not "6.00 GB/s".</summary>
    public Figure FormatTick(double value)
    {
        var (number, unit) = Format(value);
        return new Figure(number.Contains('.') ? number.TrimEnd('0').TrimEnd('.') : number, value == 0 ? "" : unit);
    }

    private Figure Format(double value) => Unit switch
    {
        ChartUnit.BytesPerSecond => Figures.BytesPerSecond(value),
        ChartUnit.PerSecond => Figures.PerSecond(value),
        ChartUnit.Microseconds => Figures.Microseconds(value),
        ChartUnit.Share => new Figure($"{value * 100:0}", "%"),
        _ => throw new InvalidOperationException($"The unit {Unit} has no form."),
    };
}
