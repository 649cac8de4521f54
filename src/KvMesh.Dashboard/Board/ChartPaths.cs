using System.Globalization;
using System.Text;

namespace KvMesh.Dashboard.Board;

/// <summary>Draws values into a box of <see cref="Width"/> × <see cref="Height"/>, which the page stretches to any size.</summary>
internal static class ChartPaths
{
    public const int Width = 600;
    public const int Height = 100;

    /// <summary>A line that is broken where values are missing.</summary>
    public static string Line(IReadOnlyList<double?> values, ChartScale scale)
    {
        var path = new StringBuilder();
        foreach (var (first, last) in Runs(values))
        {
            AppendRun(path, values, scale, first, last, 'M');
            if (first == last)
            {
                // A point alone has no length; round ends of the line make it visible.
                path.Append("h0");
            }
        }

        return path.ToString();
    }

    /// <summary>The area between values and what they stand on.</summary>
    public static string Area(IReadOnlyList<double?> values, IReadOnlyList<double?>? floor, ChartScale scale)
    {
        var path = new StringBuilder();
        foreach (var (first, last) in Runs(values))
        {
            AppendRun(path, values, scale, first, last, 'M');
            for (var index = last; index >= first; index--)
            {
                AppendPoint(path, 'L', index, values.Count, floor is null ? 0 : scale.HeightOf(floor[index] ?? scale.Min));
            }

            path.Append('Z');
        }

        return path.ToString();
    }

    private static IEnumerable<(int First, int Last)> Runs(IReadOnlyList<double?> values)
    {
        var first = -1;
        for (var index = 0; index <= values.Count; index++)
        {
            var isThere = index < values.Count && values[index] is not null;
            if (isThere && first < 0)
            {
                first = index;
            }
            else if (!isThere && first >= 0)
            {
                yield return (first, index - 1);
                first = -1;
            }
        }
    }

    private static void AppendRun(StringBuilder path, IReadOnlyList<double?> values, ChartScale scale, int first, int last, char command)
    {
        for (var index = first; index <= last; index++)
        {
            AppendPoint(path, index == first ? command : 'L', index, values.Count, scale.HeightOf(values[index]!.Value));
        }
    }

    private static void AppendPoint(StringBuilder path, char command, int index, int count, double height)
    {
        var x = count < 2 ? Width : (double)index * Width / (count - 1);
        path.Append(CultureInfo.InvariantCulture, $"{command}{x:0.#} {(1 - height) * Height:0.##}");
    }
}
