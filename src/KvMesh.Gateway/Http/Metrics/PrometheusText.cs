using System.Globalization;
using System.Text;

namespace KvMesh.Gateway.Http.Metrics;

/// <summary>Writes figures in the text format of Prometheus, version 0.0.4.</summary>
public static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public static string Write(IReadOnlyList<MetricFamily> families)
    {
        var text = new StringBuilder(64 * 1024);
        var written = new HashSet<string>(StringComparer.Ordinal);
        foreach (var family in families)
        {
            var name = PrometheusNames.Metric(family.Name, family.Unit, family.Kind);

            // A name may occur once: a scraper refuses the whole page otherwise. Two instruments that only differ in what
            // the rules drop are a mistake of ours that must not cost the others.
            if (written.Add(name))
            {
                WriteFamily(text, name, family);
            }
        }

        return text.ToString();
    }

    private static void WriteFamily(StringBuilder text, string name, MetricFamily family)
    {
        if (family.Description.Length > 0)
        {
            text.Append("# HELP ").Append(name).Append(' ');
            Escape(text, family.Description, quotes: false);
            text.Append('\n');
        }

        var kind = family.Kind switch
        {
            MetricKind.Counter => "counter",
            MetricKind.Histogram => "histogram",
            _ => "gauge",
        };
        text.Append("# TYPE ").Append(name).Append(' ').Append(kind).Append('\n');

        foreach (var point in family.Points)
        {
            var labels = Labels(point.Labels);
            if (point.Histogram is { } histogram)
            {
                WriteHistogram(text, name, labels, histogram);
            }
            else
            {
                WriteSample(text, name, "", labels, point.Value);
            }
        }
    }

    private static void WriteHistogram(StringBuilder text, string name, string labels, HistogramPoint histogram)
    {
        for (var i = 0; i < histogram.Bounds.Count; i++)
        {
            var bound = $"le=\"{Number(histogram.Bounds[i])}\"";
            WriteSample(text, name, "_bucket", labels.Length == 0 ? bound : $"{labels},{bound}", histogram.Cumulative[i]);
        }

        WriteSample(text, name, "_sum", labels, histogram.Sum);
        WriteSample(text, name, "_count", labels, histogram.Cumulative[^1]);
    }

    private static void WriteSample(StringBuilder text, string name, string suffix, string labels, double value)
    {
        text.Append(name).Append(suffix);
        if (labels.Length > 0)
        {
            text.Append('{').Append(labels).Append('}');
        }

        text.Append(' ').Append(Number(value)).Append('\n');
    }

    /// <summary>Labels in order of name. Names that become equal keep one label with all values, as OpenTelemetry's rules ask.</summary>
    private static string Labels(IReadOnlyList<KeyValuePair<string, string>> labels)
    {
        var text = new StringBuilder();
        foreach (var group in labels.GroupBy(label => PrometheusNames.Label(label.Key)).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            text.Append(text.Length == 0 ? "" : ",").Append(group.Key).Append("=\"");
            Escape(text, string.Join(';', group.Select(label => label.Value)), quotes: true);
            text.Append('"');
        }

        return text.ToString();
    }

    private static void Escape(StringBuilder text, string value, bool quotes)
    {
        foreach (var character in value)
        {
            switch (character)
            {
                case '\\':
                    text.Append("\\\\");
                    break;
                case '\n':
                    text.Append("\\n");
                    break;
                case '"' when quotes:
                    text.Append("\\\"");
                    break;
                default:
                    text.Append(character);
                    break;
            }
        }
    }

    private static string Number(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf"
        : double.IsNegativeInfinity(value) ? "-Inf"
        : double.IsNaN(value) ? "NaN"
        : value.ToString("R", CultureInfo.InvariantCulture);
}
