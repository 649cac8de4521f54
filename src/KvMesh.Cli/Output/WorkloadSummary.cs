using KvMesh.Cli.Workload;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace KvMesh.Cli.Output;

/// <summary>The outcome of a workload as a table.</summary>
internal static class WorkloadSummary
{
    public static IRenderable Render(string title, WorkloadReport report, WorkloadRunner runner)
    {
        var table = new Table().RoundedBorder().HideHeaders().Title($"[bold]{Markup.Escape(title)}[/]");
        table.AddColumn("").AddColumn(new TableColumn("").RightAligned());
        Add(table, "requests", Formats.Count(report.Requests));
        Add(table, "blocks asked", Formats.Count(report.Blocks));
        Add(table, "blocks hit", $"{Formats.Count(report.HitBlocks)}  ({Formats.Percent(report.HitRatio)})");
        Add(table, "bytes saved", Formats.Bytes(report.BytesSaved));
        Add(table, "throughput", Formats.Rate(report.GbPerSecond * 1e9));
        Add(table, "time", Formats.Duration(TimeSpan.FromSeconds(report.Seconds)));
        AddLatencies(table, runner);
        if (report.RefusedBlocks > 0)
        {
            Add(table, "blocks refused (no room)", Formats.Count(report.RefusedBlocks));
        }

        AddVerdict(table, report);
        return table;
    }

    /// <summary>Says on standard error what went wrong first; nothing when all went well.</summary>
    public static void WriteProblems(WorkloadReport report, WorkloadRunner runner, TextWriter error)
    {
        if (runner.FirstMismatch is { } mismatch)
        {
            error.WriteLine($"kvmesh: wrong bytes: {mismatch}");
        }

        if (runner.FirstError is { } problem)
        {
            error.WriteLine($"kvmesh: {report.Errors} errors; the first: {problem}");
        }

        if (report.Interrupted)
        {
            error.WriteLine("kvmesh: interrupted; the figures are of the requests served so far");
        }
    }

    public static void AddLatencies(Table table, WorkloadRunner runner)
    {
        var (match, read, write) = runner.Latencies;
        Add(table, "match prefix, p50 / p99", Percentiles(match));
        Add(table, "load prefix, p50 / p99", Percentiles(read));
        Add(table, "store the rest, p50 / p99", Percentiles(write));
    }

    public static void AddVerdict(Table table, WorkloadReport report)
    {
        var verdict = report.MismatchedBytes > 0 ? $"[red bold]{Formats.Count(report.MismatchedBytes)} wrong bytes[/]"
            : report.Errors > 0 ? $"[yellow]all bytes right, {Formats.Count(report.Errors)} errors[/]"
            : "[green]every byte right[/]";
        table.AddRow(new Markup("checked"), new Markup(verdict));
    }

    public static void Add(Table table, string name, string value) => table.AddRow(new Text(name), new Text(value));

    private static string Percentiles(LatencyHistogram histogram) => histogram.Count == 0
        ? "–"
        : $"{Formats.Latency(histogram.Percentile(50))} / {Formats.Latency(histogram.Percentile(99))}";
}
