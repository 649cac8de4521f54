using System.Globalization;
using KvMesh.Engine.Retention;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>What the learned policy knows: a row for each class of blocks, a column for each few ages.</summary>
internal static class HazardView
{
    /// <summary>Ages in one column: two are a doubling, so a column ends four times as late as the one before.</summary>
    private const int AgesPerColumn = 4;

    /// <summary>The first column has the ages of less than 1.28 s: requests that meet, and steps of agents that wait for nothing.</summary>
    private const int AgesOfFirst = 15;

    public static void Write(Terminal terminal, int capacity, LearnedReuse learned)
    {
        terminal.Out.WriteLine();
        terminal.Out.WriteLine(
            $"Learned with room for {Formats.Count(capacity)} blocks, of one in {Formats.Count(learned.OneIn)}; a use counts within {Seconds(learned.HorizonSeconds)}{(learned.FollowsLru ? "; LRU's order counts now" : "")}. The chance that a block which was not used until a column's time begins is used within it:");
        var columns = Columns(learned.Classes.IsEmpty ? 0 : learned.Classes[0].Ages.Length);
        var table = new Table().RoundedBorder();
        table.AddColumn("turn");
        foreach (var name in (string[])["uses", "gap", "touches", "reuses", .. columns.Select(column => Until(learned.Classes[0].Ages[column.End - 1]))])
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var row in learned.Classes)
        {
            table.AddRow([
                Formats.Count(row.Turn), Formats.Count(row.Uses), Gap(row), Count(row.Touches), Count(row.Reuses),
                .. columns.Select(column => Chance(row.Ages.AsSpan()[column.Start..column.End]))]);
        }

        terminal.Screen.Write(table);
    }

    private static List<(int Start, int End)> Columns(int ages)
    {
        var columns = new List<(int Start, int End)>();
        for (var (start, end) = (0, Math.Min(ages, AgesOfFirst)); start < ages; (start, end) = (end, Math.Min(ages, end + AgesPerColumn)))
        {
            columns.Add((start, end));
        }

        return columns;
    }

    /// <summary>The chance of a use at one of these ages, for who reached the first; nothing where nobody did.</summary>
    private static string Chance(ReadOnlySpan<LearnedAge> ages)
    {
        var spared = 1.0;
        foreach (var age in ages)
        {
            spared *= 1 - age.Chance;
        }

        return ages[0].Touches == 0 ? "" : Formats.Percent(1 - spared);
    }

    private static string Until(LearnedAge age) => age.UntilSeconds is { } seconds ? $"to {Seconds(seconds)}" : "later";

    private static string Gap(LearnedClass row) => (row.GapFromSeconds, row.GapToSeconds) switch
    {
        (null, _) => "",
        ({ } from, null) => $"{Seconds(from)} and more",
        ({ } from, { } to) => $"{from.ToString(CultureInfo.InvariantCulture)} to {Seconds(to)}",
    };

    /// <summary>Counts fade, so that they need not be whole.</summary>
    private static string Count(double count) => Formats.Count((long)Math.Round(count));

    private static string Seconds(double seconds) =>
        seconds < 100 ? seconds.ToString("0.##", CultureInfo.InvariantCulture) + " s" : Math.Round(seconds / 60, 1).ToString("0.#", CultureInfo.InvariantCulture) + " min";
}
