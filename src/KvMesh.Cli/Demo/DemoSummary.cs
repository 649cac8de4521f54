using KvMesh.Cli.Output;
using KvMesh.Cli.Workload;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace KvMesh.Cli.Demo;

/// <summary>The demo's outcome: one column a door, and all together.</summary>
internal static class DemoSummary
{
    public static IRenderable Render(DemoReport report, DemoSession session)
    {
        var table = new Table().RoundedBorder().Title("[bold]What the cache did[/]").AddColumn("");
        foreach (var lane in session.Lanes)
        {
            table.AddColumn(new TableColumn(lane.Title).RightAligned());
        }

        table.AddColumn(new TableColumn("[bold]together[/]").RightAligned());
        Row("prompts", lane => Formats.Count(lane.Requests), Formats.Count(report.Requests));
        Row("blocks asked", lane => Formats.Count(lane.Blocks), Formats.Count(report.Blocks));
        Row("hit ratio", lane => Formats.Percent(lane.HitRatio), Formats.Percent(report.HitRatio));
        Row("bytes saved", lane => Formats.Bytes(lane.BytesSaved), Formats.Bytes(report.BytesSaved));
        Row("throughput", lane => Formats.Rate(lane.GbPerSecond * 1e9), Formats.Rate(report.GbPerSecond * 1e9));
        Latency("match prefix p50 / p99", latencies => latencies.Match);
        Latency("load prefix p50 / p99", latencies => latencies.Read);
        Latency("store the rest p50 / p99", latencies => latencies.Write);
        Row("wrong bytes", lane => Formats.Count(lane.MismatchedBytes), Verdict(report.MismatchedBytes));
        Row("errors", lane => Formats.Count(lane.Errors), Formats.Count(report.Errors));
        return table;

        void Row(string name, Func<WorkloadReport, string> value, string together) =>
            table.AddRow([name, .. session.Lanes.Select(lane => value(report.Doors[lane.Key])), together]);

        void Latency(string name, Func<(LatencyHistogram Match, LatencyHistogram Read, LatencyHistogram Write), LatencyHistogram> pick)
        {
            var parts = session.Lanes.Select(lane => pick(lane.Runner.Latencies)).ToArray();
            table.AddRow([name, .. parts.Select(Percentiles), Percentiles(LatencyHistogram.Sum(parts))]);
        }
    }

    private static string Verdict(long mismatchedBytes) =>
        mismatchedBytes == 0 ? "[green]none[/]" : $"[red bold]{Formats.Count(mismatchedBytes)}[/]";

    private static string Percentiles(LatencyHistogram histogram) => histogram.Count == 0
        ? "–"
        : $"{Formats.Latency(histogram.Percentile(50))} / {Formats.Latency(histogram.Percentile(99))}";
}
