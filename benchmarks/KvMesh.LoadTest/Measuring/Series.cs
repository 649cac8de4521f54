namespace KvMesh.LoadTest.Measuring;

/// <summary>The runs of one contender, in the order in which they were made.</summary>
internal sealed class Series(string name)
{
    private readonly List<Sample> _samples = [];

    public string Name { get; } = name;

    public IReadOnlyList<Sample> Samples => _samples;

    public void Add(Sample sample) => _samples.Add(sample);

    public Spread SpreadOf(Func<Sample, double> figure) => Spread.Of(_samples.Select(figure));

    /// <summary>Run by run, how much more this contender did than the other in the run beside it.</summary>
    public Spread RatioTo(Series baseline, Func<Sample, double> figure) =>
        Spread.Of(_samples.Zip(baseline._samples, (own, other) => figure(own) / figure(other)));
}

/// <summary>Median and extremes of repeated runs.</summary>
internal readonly record struct Spread(double Median, double Min, double Max)
{
    public static Spread Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0)
        {
            return default;
        }

        var middle = sorted.Length / 2;
        var median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Spread(median, sorted[0], sorted[^1]);
    }
}
