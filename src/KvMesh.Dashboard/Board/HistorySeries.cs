using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Board;

/// <summary>
/// The node's seconds gathered into the points of a window. Points lie on whole multiples of their length, so that a chart moves by
/// one point at a time and its past does not change shape.
/// </summary>
internal sealed class HistorySeries
{
    private readonly List<HistorySample>[] _points;

    public HistorySeries(IReadOnlyList<HistorySample> history, TimeWindow window)
    {
        _points = new List<HistorySample>[window.Points];
        for (var index = 0; index < _points.Length; index++)
        {
            _points[index] = [];
        }

        if (history.Count == 0)
        {
            return;
        }

        var length = window.SecondsPerPoint * 1000L;
        var newest = PointOf(history[^1].At, length);
        foreach (var sample in history)
        {
            var index = _points.Length - 1 - (newest - PointOf(sample.At, length));
            if (index >= 0)
            {
                _points[index].Add(sample);
            }
        }
    }

    /// <summary>The mean of a rate.</summary>
    public IReadOnlyList<double?> Mean(Func<HistorySample, double?> value) =>
        Select(point => point.Average(value));

    /// <summary>The mean of a ratio, weighed by how much it is a ratio of.</summary>
    public IReadOnlyList<double?> Mean(Func<HistorySample, double?> ratio, Func<HistorySample, double> weight) =>
        Select(point => WeightedMean(point, ratio, weight));

    /// <summary>The worst second: a quantile of quantiles would hide it.</summary>
    public IReadOnlyList<double?> Max(Func<HistorySample, double?> value) =>
        Select(point => point.Max(value));

    public static double? WeightedMean(IEnumerable<HistorySample> samples, Func<HistorySample, double?> ratio, Func<HistorySample, double> weight)
    {
        double sum = 0, weights = 0;
        foreach (var sample in samples)
        {
            if (ratio(sample) is { } value && weight(sample) is > 0 and var part)
            {
                sum += value * part;
                weights += part;
            }
        }

        return weights > 0 ? sum / weights : null;
    }

    public static TierSample? Tier(HistorySample sample, string name) =>
        sample.Tiers.FirstOrDefault(tier => tier.Name == name);

    public static FarTierSample? FarTier(HistorySample sample, string name) =>
        sample.FarTiers?.FirstOrDefault(tier => tier.Name == name);

    // The end of a second belongs to that second: 10:00:02.000 closes the point that began at 10:00:00.
    private static long PointOf(long at, long length) => (at - 1) / length;

    private IReadOnlyList<double?> Select(Func<List<HistorySample>, double?> value) =>
        [.. _points.Select(point => point.Count == 0 ? null : value(point))];
}
