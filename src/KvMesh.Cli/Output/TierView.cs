using System.Globalization;
using KvMesh.Simulation.Retention;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>What the tiers of a node hit: a row for each policy, a column for each tier.</summary>
internal static class TierView
{
    public static void Write(Terminal terminal, TierReport report, bool json)
    {
        if (json)
        {
            terminal.WriteJson(report, CliJson.Default.TierReport);
            return;
        }

        var table = new Table().RoundedBorder();
        table.AddColumn("policy of RAM");
        foreach (var tier in report.Tiers)
        {
            var codec = tier.Ratio > 1 ? string.Create(CultureInfo.InvariantCulture, $"\nat ratio {tier.Ratio}") : "";
            table.AddColumn(new TableColumn($"{tier.Kind.ToString().ToLowerInvariant()}\n{Formats.Count(tier.Capacity)} blocks{codec}").RightAligned());
        }

        table.AddColumn(new TableColumn("together").RightAligned());
        table.AddColumn(new TableColumn("written to disk\nand Redis").RightAligned());
        foreach (var result in report.Policies)
        {
            table.AddRow(
                [result.Policy, .. result.TierHitRatios.Select(Formats.Percent), Formats.Percent(result.HitRatio), $"{Formats.Count(result.DiskWrites)}\n{Formats.Count(result.RedisWrites)}"]);
        }

        terminal.Screen.Write(table);
        terminal.Out.WriteLine(
            $"{Formats.Count(report.Requests)} requests ask for {Formats.Count(report.AskedBlocks)} blocks, {Formats.Count(report.DistinctBlocks)} different full ones. Without limit {Formats.Percent(report.InfiniteHitRatio)}; Belady's rule with the room of all tiers {Formats.Percent(report.OptimumHitRatio)}.");
    }
}
