using System.Globalization;
using System.Text;
using System.Text.Json;
using KvMesh.LoadTest.Measuring;

namespace KvMesh.LoadTest.Reporting;

/// <summary>What one verb measured, as a Markdown table or as one JSON object.</summary>
internal sealed class Report(string verb, string howMeasured)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private readonly List<ReportRow> _rows = [];
    private readonly List<string> _notes = [];
    private readonly List<string> _tables = [];

    public IReadOnlyList<ReportRow> Rows => _rows;

    public void Add(ReportRow row) => _rows.Add(row);

    /// <summary>Something a reader must know to read the figures rightly.</summary>
    public void Note(string note) => _notes.Add(note);

    /// <summary>A Markdown table of its own columns, shown before the rows.</summary>
    public void AddTable(string markdown) => _tables.Add(markdown);

    /// <summary>Adds contenders that moved bytes; the first is the baseline of the others.</summary>
    /// <param name="what">The task.</param>
    /// <param name="series">Runs of each.</param>
    /// <param name="targetOf">The ratio that a contender is to reach, or null.</param>
    public void AddThroughput(string what, IReadOnlyList<Series> series, Func<Series, double?>? targetOf = null) =>
        AddRatios(what, series, "GB/s", sample => sample.GigabytesPerSecond, targetOf);

    /// <summary>As <see cref="AddThroughput"/>, counting requests.</summary>
    public void AddRate(string what, IReadOnlyList<Series> series, Func<Series, double?>? targetOf = null) =>
        AddRatios(what, series, "k/s", sample => sample.OperationsPerSecond / 1e3, targetOf);

    /// <summary>One more ratio of a contender that has its own row already.</summary>
    public void AddRatio(string what, Series series, Series baseline, double? target) => _rows.Add(new ReportRow
    {
        What = what,
        Who = series.Name,
        Figure = series.SpreadOf(sample => sample.GigabytesPerSecond),
        Unit = "GB/s",
        Ratio = series.RatioTo(baseline, sample => sample.GigabytesPerSecond),
        Target = target,
    });

    public string ToJson() => JsonSerializer.Serialize(
        new { verb, howMeasured, machine = MachineDescription.Read(), rows = _rows, tables = _tables, notes = _notes }, Json);

    public string ToMarkdown()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"## {verb}\n\n{howMeasured}\n\n");
        foreach (var table in _tables)
        {
            text.Append(table).Append('\n');
        }

        if (_rows.Count > 0)
        {
            AppendRows(text);
        }

        foreach (var note in _notes)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n- {note}");
        }

        return text.Append('\n').ToString();
    }

    private void AppendRows(StringBuilder text)
    {
        text.Append("| what | who | median | min–max | ratio (min–max) | core-s/GB | p50 / p99 µs | target |\n");
        text.Append("|---|---|---|---|---|---|---|---|\n");
        foreach (var row in _rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {row.What} | {row.Who} | {Number(row.Figure.Median)} {row.Unit} ");
            text.Append(CultureInfo.InvariantCulture, $"| {Number(row.Figure.Min)}–{Number(row.Figure.Max)} | {Ratio(row.Ratio)} ");
            text.Append(CultureInfo.InvariantCulture, $"| {(row.CoreSecondsPerGigabyte is { } cores ? Number(cores) : "")} | {Latency(row)} | {Target(row)} |\n");
        }
    }

    private static string Ratio(Spread? ratio) =>
        ratio is { } spread ? $"{Number(spread.Median)} ({Number(spread.Min)}–{Number(spread.Max)})" : "1";

    private static string Latency(ReportRow row) =>
        row.P50Microseconds is > 0 ? $"{Number(row.P50Microseconds.Value)} / {Number(row.P99Microseconds ?? 0)}" : "";

    private static string Target(ReportRow row) => row.Target is { } target
        ? $"{(row.LessIsBetter ? "≤" : "≥")} {Number(target)}{(row.TargetIsFigure ? " " + row.Unit : "")}: {(row.Met == true ? "met" : "not met")}"
        : "";

    private static string Number(double value) => Math.Abs(value) switch
    {
        0 => "0",
        < 10 => value.ToString("0.00", CultureInfo.InvariantCulture),
        < 100 => value.ToString("0.0", CultureInfo.InvariantCulture),
        _ => value.ToString("#,##0", CultureInfo.InvariantCulture),
    };

    private void AddRatios(
        string what, IReadOnlyList<Series> series, string unit, Func<Sample, double> figure, Func<Series, double?>? targetOf)
    {
        var disturbed = series.Sum(contender => contender.Samples.Count(sample => sample.OtherCores > Neighbours.MaxCores));
        if (disturbed > 0)
        {
            Note($"{what}: other processes were busy during {disturbed} of {series.Sum(contender => contender.Samples.Count)} runs.");
        }

        foreach (var contender in series)
        {
            var isBaseline = ReferenceEquals(contender, series[0]);
            var cores = contender.SpreadOf(sample => sample.CoreSecondsPerGigabyte).Median;
            _rows.Add(new ReportRow
            {
                What = what,
                Who = contender.Name,
                Figure = contender.SpreadOf(figure),
                Unit = unit,
                Ratio = isBaseline ? null : contender.RatioTo(series[0], figure),
                CoreSecondsPerGigabyte = cores > 0 ? cores : null,
                P50Microseconds = contender.SpreadOf(sample => sample.P50Microseconds).Median,
                P99Microseconds = contender.SpreadOf(sample => sample.P99Microseconds).Median,
                Target = isBaseline ? null : targetOf?.Invoke(contender),
            });
        }
    }
}
