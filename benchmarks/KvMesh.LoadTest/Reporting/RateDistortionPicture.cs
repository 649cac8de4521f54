using System.Globalization;
using System.Text;

namespace KvMesh.LoadTest.Reporting;

/// <summary>One codec in the picture.</summary>
/// <param name="Name">The preset.</param>
/// <param name="Family">Codecs of one family are one line.</param>
/// <param name="Bits">Bits per element.</param>
/// <param name="Error">Relative error of outputs, above zero.</param>
internal sealed record RatePoint(string Name, string Family, double Bits, double Error);

/// <summary>Bits against errors as SVG: both axes by powers of two, since half the error costs about a bit. Nothing in it but shapes and text.</summary>
internal static class RateDistortionPicture
{
    private const int Width = 860;
    private const int Height = 560;
    private const int Left = 70;
    private const int Right = 200;
    private const int Top = 40;
    private const int Bottom = 60;
    private const double LeastBits = 1.5;
    private const double MostBits = 10;
    private const double LeastError = 0.008;
    private const double MostError = 3;

    private static readonly string[] Colours =
        ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#7f7f7f", "#003f5c", "#5c3c00", "#000000", "#98df8a", "#ff1493", "#c5b0d5"];

    private static readonly double[] BitMarks = [1.5, 2, 3, 4, 5, 6, 8, 10];
    private static readonly double[] ErrorMarks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];

    public static string Draw(IEnumerable<RatePoint> points)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"12\">\n");
        text.Append("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        text.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"22\" font-size=\"15\">SKV-1, regime A: error of attention outputs by bits per element</text>\n");
        AppendAxes(text);
        var line = 0;
        foreach (var family in points.Where(point => point is { Error: > 0, Bits: <= MostBits }).GroupBy(point => point.Family))
        {
            AppendFamily(text, family.Key, [.. family.OrderBy(point => point.Bits)], Colours[line % Colours.Length], line);
            line++;
        }

        return text.Append("</svg>\n").ToString();
    }

    private static void AppendAxes(StringBuilder text)
    {
        foreach (var bits in BitMarks)
        {
            text.Append(CultureInfo.InvariantCulture, $"<line x1=\"{X(bits)}\" x2=\"{X(bits)}\" y1=\"{Top}\" y2=\"{Height - Bottom}\" stroke=\"#ddd\"/>");
            text.Append(CultureInfo.InvariantCulture, $"<text x=\"{X(bits)}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{bits}</text>\n");
        }

        foreach (var error in ErrorMarks)
        {
            text.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(error)}\" y2=\"{Y(error)}\" stroke=\"#ddd\"/>");
            text.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left - 8}\" y=\"{Y(error) + 4}\" text-anchor=\"end\">{error}</text>\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 14}\" text-anchor=\"middle\">bits per element</text>\n");
        text.Append(CultureInfo.InvariantCulture, $"<text x=\"18\" y=\"{Height / 2}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {Height / 2})\">relative error of outputs</text>\n");
    }

    private static void AppendFamily(StringBuilder text, string family, RatePoint[] points, string colour, int line)
    {
        var path = string.Join(' ', points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.Bits)},{Y(point.Error)}")));
        text.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"0.35\"/>\n");
        foreach (var point in points)
        {
            text.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{X(point.Bits)}\" cy=\"{Y(point.Error)}\" r=\"4\" fill=\"{colour}\"><title>{point.Name}: {point.Bits:0.00} bits, {point.Error:0.000}</title></circle>\n");
        }

        var y = Top + 14 + (line * 20);
        text.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{Width - Right + 24}\" cy=\"{y - 4}\" r=\"4\" fill=\"{colour}\"/><text x=\"{Width - Right + 36}\" y=\"{y}\">{family}</text>\n");
    }

    private static double X(double bits) => Place(bits, LeastBits, MostBits, Left, Width - Right);

    private static double Y(double error) => Place(error, LeastError, MostError, Height - Bottom, Top);

    private static double Place(double value, double least, double most, int from, int to) =>
        Math.Round(from + ((to - from) * Math.Log(Math.Clamp(value, least, most) / least) / Math.Log(most / least)), 1);
}
