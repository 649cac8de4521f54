using KvMesh.Dashboard.Board;
using KvMesh.Dashboard.Feed;
using KvMesh.Protocol.Admin;

namespace KvMesh.System.Tests.Dashboard.Units;

public sealed class ChartTests
{
    private const long Start = 1_800_000_000_000;

    private static readonly TimeWindow FiveMinutes = TimeWindow.Parse("5", 0);

    [Fact]
    public void A_window_that_is_not_offered_fits_what_there_is()
    {
        Assert.Equal(10, TimeWindow.Parse("10", 3).Minutes);
        Assert.Equal(2, TimeWindow.Parse(null, 120).Minutes);
        Assert.Equal(5, TimeWindow.Parse(null, 121).Minutes);
        Assert.Equal(5, TimeWindow.Parse("1000000", 600).Minutes);
        Assert.All(TimeWindow.All, window => Assert.Equal(window.Minutes * 60, window.Points * window.SecondsPerPoint));
    }

    [Fact]
    public void Seconds_keep_their_point_while_time_goes_on()
    {
        var history = Enumerable.Range(1, 400).Select(second => Sample(second, bytesOut: second)).ToList();

        var before = new HistorySeries([.. history.Take(300)], FiveMinutes).Mean(sample => sample.BytesOut);
        var after = new HistorySeries([.. history.Take(302)], FiveMinutes).Mean(sample => sample.BytesOut);

        Assert.Equal(before.Skip(1), after.SkipLast(1));
        Assert.Equal(301.5, after[^1]);
    }

    [Fact]
    public void Seconds_that_are_missing_break_the_line()
    {
        var series = new HistorySeries([Sample(2, bytesOut: 1), Sample(10, bytesOut: 1)], FiveMinutes).Mean(sample => sample.BytesOut);

        Assert.Equal([1.0, null, null, null, 1.0], series.TakeLast(5));
        Assert.Equal("M0 0h0M600 0h0", ChartPaths.Line([1, null, 1], ChartScale.Share));
    }

    [Fact]
    public void Ratios_weigh_what_they_are_ratios_of()
    {
        var series = new HistorySeries([Sample(1, reads: 10, hitRatio: 1), Sample(2, reads: 990, hitRatio: 0)], FiveMinutes)
            .Mean(sample => sample.HitRatio, sample => sample.Reads);

        Assert.Equal(0.01, series[^1]);
    }

    [Fact]
    public void Nothing_read_is_no_hit_ratio()
    {
        var series = new HistorySeries([Sample(1, reads: 0, hitRatio: null)], FiveMinutes).Mean(sample => sample.HitRatio, sample => sample.Reads);

        Assert.Null(series[^1]);
    }

    [Theory]
    [InlineData(0, 1e6)]
    [InlineData(1.1e6, 2e6)]
    [InlineData(4.5e9, 6e9)]
    [InlineData(7e9, 1e10)]
    public void A_linear_scale_ends_at_a_round_number(double largest, double max) =>
        Assert.Equal(max, ChartScale.Linear([null, largest], least: 1e6).Max);

    [Fact]
    public void A_logarithmic_scale_holds_whole_decades()
    {
        var scale = ChartScale.Logarithmic([180, null, 2400]);

        Assert.Equal([100, 1000, 10_000], scale.Ticks);
        Assert.Equal([0, 0.5, 1], scale.Ticks.Select(scale.HeightOf));
    }

    [Fact]
    public void An_area_stands_on_its_floor()
    {
        var scale = ChartScale.Share;

        Assert.Equal("M0 50L600 0L600 100L0 100Z", ChartPaths.Area([0.5, 1], null, scale));
        Assert.Equal("M0 50L600 0L600 75L0 75Z", ChartPaths.Area([0.5, 1], [0.25, 0.25], scale));
    }

    [Fact]
    public void A_history_keeps_its_seconds_once_and_starts_again_when_the_clock_goes_back()
    {
        var window = new HistoryWindow(10);
        window.Replace(Enumerable.Range(1, 30).Select(second => Sample(second)));
        window.Add(Sample(30));
        Assert.Equal(Enumerable.Range(21, 10), window.ToList().Select(sample => (int)((sample.At - Start) / 1000)));

        window.Add(Sample(5));
        Assert.Equal(5, Assert.Single(window.ToList()).At / 1000 - (Start / 1000));
    }

    private static HistorySample Sample(int second, double bytesOut = 0, double reads = 0, double? hitRatio = null) =>
        new(Start + (second * 1000), [], hitRatio, null, 0, bytesOut, reads, 0, 0, null, null, 0, 0);
}
