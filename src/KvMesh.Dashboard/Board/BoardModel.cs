using KvMesh.Dashboard.Feed;
using KvMesh.Protocol.Admin;

namespace KvMesh.Dashboard.Board;

/// <summary>A picture of the node, worked out for the board.</summary>
public sealed record BoardModel(NodePicture Picture, TimeWindow Window, RecentFigures Recent, BoardCharts Charts)
{
    public NodeStatus? Status => Picture.Status;

    public static BoardModel From(NodePicture picture, TimeWindow window)
    {
        var recent = RecentFigures.From(picture.History);
        return new BoardModel(picture, window, recent, BoardCharts.From(picture, window, recent));
    }
}

/// <summary>The figures that say "now". They look back a little: one second jumps too much to be read.</summary>
/// <param name="HitRatio">Over the last minute; null when nothing was read.</param>
/// <param name="LastMinute">The samples behind it.</param>
public sealed record RecentFigures(
    double BytesOut,
    double BytesIn,
    double Reads,
    double Writes,
    LatencySample? Get,
    LatencySample? Put,
    double? HitRatio,
    IReadOnlyList<HistorySample> LastSeconds,
    IReadOnlyList<HistorySample> LastMinute)
{
    private const int NowSeconds = 3;
    private const int MinuteSeconds = 60;

    public double ReadsInLastMinute => LastMinute.Sum(sample => sample.Reads);

    public static RecentFigures From(IReadOnlyList<HistorySample> history)
    {
        List<HistorySample> now = [.. history.TakeLast(NowSeconds)];
        List<HistorySample> minute = [.. history.TakeLast(MinuteSeconds)];
        return new RecentFigures(
            Mean(now, sample => sample.BytesOut),
            Mean(now, sample => sample.BytesIn),
            Mean(now, sample => sample.Reads),
            Mean(now, sample => sample.Writes),
            now.LastOrDefault(sample => sample.Get is not null)?.Get,
            now.LastOrDefault(sample => sample.Put is not null)?.Put,
            HistorySeries.WeightedMean(minute, sample => sample.HitRatio, sample => sample.Reads),
            now,
            minute);
    }

    public static double Mean(IReadOnlyCollection<HistorySample> samples, Func<HistorySample, double> value) =>
        samples.Count == 0 ? 0 : samples.Average(value);
}
