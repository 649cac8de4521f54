using KvMesh.Simulation.Retention;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>What each policy hits at each capacity: a row for each capacity, a column for each policy, and what is possible beside them.</summary>
internal static class RetentionView
{
    public static void Write(Terminal terminal, RetentionReport report, bool json)
    {
        if (json)
        {
            terminal.WriteJson(report, CliJson.Default.RetentionReport);
            return;
        }

        var policies = report.Policies.Select(result => result.Policy).Distinct().ToArray();
        var table = new Table().RoundedBorder();
        foreach (var name in (string[])["blocks", .. policies, "optimum", "regret of the best"])
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var optimum in report.Optimum)
        {
            var results = report.Policies.Where(result => result.Capacity == optimum.Capacity).ToArray();
            var best = results.MinBy(result => result.Regret)!;
            table.AddRow(
            [
                Formats.Count(optimum.Capacity), .. results.Select(result => Formats.Percent(result.HitRatio)), Formats.Percent(optimum.HitRatio),
                results.Length > 1 ? $"{Formats.Percent(best.Regret)} ({best.Policy})" : Formats.Percent(best.Regret),
            ]);
        }

        terminal.Screen.Write(table);
        terminal.Out.WriteLine(
            $"{Formats.Count(report.Requests)} requests ask for {Formats.Count(report.AskedBlocks)} blocks, {Formats.Count(report.DistinctBlocks)} different full ones; a cache without limit hits {Formats.Percent(report.InfiniteHitRatio)}.");
        var cost = policies.Select(policy => $"{policy} {report.Policies.Where(result => result.Policy == policy).Average(result => result.NanosecondsPerTouch):0} ns");
        terminal.Out.WriteLine($"Optimum: Belady's rule with bypass, a parent never before its child. A touch cost: {string.Join(", ", cost)}.");
        foreach (var result in report.Policies)
        {
            if (result.Learned is { } learned)
            {
                HazardView.Write(terminal, result.Capacity, learned);
            }
        }
    }
}
