using KvMesh.Simulation.Retention;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace KvMesh.Cli.Output;

/// <summary>Hit ratio over capacity of every policy as an SVG document, with what is possible above them.</summary>
internal static class RetentionPicture
{
    private const int Width = 960;
    private const int Height = 600;
    private const string Font = "Arial";

    private static readonly OxyColor[] Colours =
        [OxyColors.SteelBlue, OxyColors.DarkOrange, OxyColors.SeaGreen, OxyColors.MediumPurple, OxyColors.Crimson, OxyColors.Sienna, OxyColors.DeepPink];

    public static string Draw(RetentionReport report)
    {
        var model = new PlotModel
        {
            DefaultFont = Font,
            DefaultColors = Colours,
            Title = "Blocks that are hit, by capacity",
            TitleFontSize = 16,
            Background = OxyColors.White,
        };
        model.Legends.Add(new Legend { LegendPosition = LegendPosition.BottomRight, LegendLineSpacing = 4, LegendPadding = 12, LegendBackground = OxyColor.FromAColor(220, OxyColors.White) });
        model.Axes.Add(new LogarithmicAxis
        {
            Position = AxisPosition.Bottom,
            Title = "blocks",
            MajorGridlineStyle = LineStyle.Solid,
            MajorGridlineColor = OxyColors.LightGray,
            LabelFormatter = Formatted,
        });
        model.Axes.Add(new LinearAxis
        {
            Position = AxisPosition.Left,
            Title = "hit ratio, %",
            AxisTitleDistance = 12,
            Minimum = 0,
            MajorGridlineStyle = LineStyle.Solid,
            MajorGridlineColor = OxyColors.LightGray,
        });
        model.Series.Add(Line("infinite", LineStyle.Dot, report.Optimum.Select(optimum => (optimum.Capacity, report.InfiniteHitRatio))));
        model.Series.Add(Line("optimum", LineStyle.Dash, report.Optimum.Select(optimum => (optimum.Capacity, optimum.HitRatio))));
        foreach (var policy in report.Policies.GroupBy(result => result.Policy))
        {
            model.Series.Add(Line(policy.Key, LineStyle.Solid, policy.Select(result => (result.Capacity, result.HitRatio))));
        }

        return SvgExporter.ExportToString(model, Width, Height, isDocument: true);
    }

    private static LineSeries Line(string name, LineStyle style, IEnumerable<(int Capacity, double HitRatio)> points)
    {
        var isBound = style != LineStyle.Solid;
        var line = new LineSeries { Title = name, LineStyle = style, MarkerType = isBound ? MarkerType.None : MarkerType.Circle };
        if (isBound)
        {
            line.Color = OxyColors.Gray;
        }

        line.Points.AddRange(points.OrderBy(point => point.Capacity).Select(point => new DataPoint(point.Capacity, point.HitRatio * 100)));
        return line;
    }

    private static string Formatted(double blocks) => Formats.Count((long)Math.Round(blocks));
}
