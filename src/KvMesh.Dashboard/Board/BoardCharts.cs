using KvMesh.Dashboard.Feed;
using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Board;

/// <summary>The charts of the board.</summary>
public sealed record BoardCharts(ChartModel Throughput, ChartModel Latency, ChartModel HitRatio, ChartModel Occupancy, ChartModel Evictions)
{
    /// <summary>Top of an empty chart.</summary>
    private const double LeastBytesPerSecond = 1e6;
    private const double LeastEvictions = 10;

    public static BoardCharts From(NodePicture picture, TimeWindow window, RecentFigures recent)
    {
        var series = new HistorySeries(picture.History, window);
        var tiers = picture.Status?.Tiers ?? [];
        string[] far = [.. (picture.Status?.FarTiers ?? []).Select(tier => tier.Name)];
        return new BoardCharts(
            ThroughputOf(series, window, recent, far),
            LatencyOf(series, window, recent),
            HitRatioOf(series, window, recent, [.. tiers.Select(tier => tier.Name), .. far]),
            OccupancyOf(series, window, tiers),
            EvictionsOf(series, window, recent, tiers));
    }

    private static ChartModel ThroughputOf(HistorySeries series, TimeWindow window, RecentFigures recent, IReadOnlyList<string> far)
    {
        var read = series.Mean(sample => sample.BytesOut);
        var written = series.Mean(sample => sample.BytesIn);
        List<ChartSeries> lines =
        [
            new("Read", "read", read, Figures.BytesPerSecond(recent.BytesOut), IsFilled: true),
            new("Written", "write", written, Figures.BytesPerSecond(recent.BytesIn), IsFilled: true),
            .. far.Select(name => new ChartSeries(
                $"From {TierNames.FarName(name)}",
                name,
                series.Mean(sample => HistorySeries.FarTier(sample, name)?.BytesIn),
                Figures.BytesPerSecond(RecentFigures.Mean(recent.LastSeconds, sample => HistorySeries.FarTier(sample, name)?.BytesIn ?? 0)))),
        ];
        return new ChartModel(
            ChartUnit.BytesPerSecond, ChartScale.Linear(lines.SelectMany(line => line.Values), LeastBytesPerSecond), lines, window);
    }

    private static ChartModel LatencyOf(HistorySeries series, TimeWindow window, RecentFigures recent)
    {
        var getMedian = series.Mean(sample => sample.Get?.P50Microseconds, sample => sample.Get?.Operations ?? 0);
        var getSlow = series.Max(sample => sample.Get?.P99Microseconds);
        var putMedian = series.Mean(sample => sample.Put?.P50Microseconds, sample => sample.Put?.Operations ?? 0);
        var putSlow = series.Max(sample => sample.Put?.P99Microseconds);
        return new ChartModel(
            ChartUnit.Microseconds,
            ChartScale.Logarithmic([.. getMedian, .. getSlow, .. putMedian, .. putSlow]),
            [
                new ChartSeries("Get p50", "read", getMedian, Figures.Microseconds(recent.Get?.P50Microseconds)),
                new ChartSeries("Get p99", "read faint", getSlow, Figures.Microseconds(recent.Get?.P99Microseconds)),
                new ChartSeries("Put p50", "write", putMedian, Figures.Microseconds(recent.Put?.P50Microseconds)),
                new ChartSeries("Put p99", "write faint", putSlow, Figures.Microseconds(recent.Put?.P99Microseconds)),
            ],
            window);
    }

    /// <summary>The tiers stand on each other: the top edge is the hit ratio of the node.</summary>
    private static ChartModel HitRatioOf(HistorySeries series, TimeWindow window, RecentFigures recent, IReadOnlyList<string> tiers)
    {
        var lines = new List<ChartSeries>();
        IReadOnlyList<double?>? floor = null;
        foreach (var tier in tiers)
        {
            double? Ratio(HistorySample sample) => HistorySeries.Tier(sample, tier)?.HitRatio ?? HistorySeries.FarTier(sample, tier)?.HitRatio;
            var below = floor;
            List<double?> top = [.. series.Mean(Ratio, sample => sample.Reads).Select((share, index) => share + (below?[index] ?? 0))];
            var lately = HistorySeries.WeightedMean(recent.LastMinute, Ratio, sample => sample.Reads);
            lines.Add(new ChartSeries(TierNames.Of(tier), tier, top, Figures.Percent(lately), IsFilled: true, floor));
            floor = top;
        }

        return new ChartModel(ChartUnit.Share, ChartScale.Share, lines, window, IsStacked: true);
    }

    private static ChartModel OccupancyOf(HistorySeries series, TimeWindow window, IReadOnlyList<TierStatus> tiers) => new(
        ChartUnit.Share,
        ChartScale.Share,
        [
            .. tiers.Select(tier => new ChartSeries(
                TierNames.Of(tier.Name),
                tier.Name,
                series.Mean(sample => ShareUsed(HistorySeries.Tier(sample, tier.Name))),
                Figures.Percent(TierNames.ShareUsed(tier)))),
        ],
        window);

    private static ChartModel EvictionsOf(HistorySeries series, TimeWindow window, RecentFigures recent, IReadOnlyList<TierStatus> tiers)
    {
        List<ChartSeries> lines =
        [
            .. tiers.Select(tier => new ChartSeries(
                TierNames.Of(tier.Name),
                tier.Name,
                series.Mean(sample => HistorySeries.Tier(sample, tier.Name)?.Evictions),
                Figures.PerSecond(RecentFigures.Mean(recent.LastSeconds, sample => HistorySeries.Tier(sample, tier.Name)?.Evictions ?? 0)))),
        ];
        return new ChartModel(ChartUnit.PerSecond, ChartScale.Linear(lines.SelectMany(line => line.Values), LeastEvictions), lines, window);
    }

    private static double? ShareUsed(TierSample? tier) =>
        tier is { CapacityBytes: > 0 } ? (double)tier.UsedBytes / tier.CapacityBytes : null;
}
