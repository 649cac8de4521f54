using System.Text;

namespace KvMesh.Gateway.Http.Metrics;

/// <summary>
/// OpenTelemetry names and units as Prometheus names, by the rules of OpenTelemetry's "Prometheus and OpenMetrics
/// Compatibility": units are spelled out behind the name, counters end in _total, ratios in _ratio.
/// </summary>
internal static class PrometheusNames
{
    private static readonly Dictionary<string, string> Units = new(StringComparer.Ordinal)
    {
        ["d"] = "days",
        ["h"] = "hours",
        ["min"] = "minutes",
        ["s"] = "seconds",
        ["ms"] = "milliseconds",
        ["us"] = "microseconds",
        ["ns"] = "nanoseconds",
        ["By"] = "bytes",
        ["KiBy"] = "kibibytes",
        ["MiBy"] = "mebibytes",
        ["GiBy"] = "gibibytes",
        ["Hz"] = "hertz",
        ["%"] = "percent",
        ["Cel"] = "celsius",
    };

    private static readonly Dictionary<string, string> PerUnits = new(StringComparer.Ordinal)
    {
        ["s"] = "second",
        ["min"] = "minute",
        ["h"] = "hour",
        ["d"] = "day",
    };

    public static string Metric(string name, string unit, MetricKind kind)
    {
        var words = Sanitise(name, allowColon: true).Trim('_');
        var suffix = UnitWords(unit, kind);
        if (suffix.Length > 0 && !words.EndsWith("_" + suffix, StringComparison.Ordinal))
        {
            words = $"{words}_{suffix}";
        }

        if (kind == MetricKind.Counter && !words.EndsWith("_total", StringComparison.Ordinal))
        {
            words += "_total";
        }

        return char.IsAsciiDigit(words[0]) ? "_" + words : words;
    }

    public static string Label(string name)
    {
        var words = Sanitise(name, allowColon: false);
        return char.IsAsciiDigit(words[0]) ? "_" + words : words;
    }

    private static string UnitWords(string unit, MetricKind kind)
    {
        if (unit == "1")
        {
            return kind == MetricKind.Gauge ? "ratio" : "";
        }

        // What stands in braces is a remark, such as {block}, not a unit.
        var brace = unit.IndexOf('{', StringComparison.Ordinal);
        var plain = brace < 0 ? unit : unit[..brace];
        var slash = unit.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0)
        {
            return Spell(plain);
        }

        var per = unit[(slash + 1)..];
        var above = brace >= 0 && brace < slash ? "" : Spell(unit[..slash]);
        var below = per.StartsWith('{') ? "" : "per_" + PerUnits.GetValueOrDefault(per, Spell(per));
        return $"{above}_{below}".Trim('_');
    }

    private static string Spell(string unit) => Units.GetValueOrDefault(unit, Sanitise(unit, allowColon: false).Trim('_'));

    private static string Sanitise(string name, bool allowColon)
    {
        var result = new StringBuilder(name.Length);
        foreach (var character in name)
        {
            var isKept = char.IsAsciiLetterOrDigit(character) || (allowColon && character == ':');
            if (isKept)
            {
                result.Append(character);
            }
            else if (result.Length == 0 || result[^1] != '_')
            {
                result.Append('_');
            }
        }

        return result.ToString();
    }
}
