using System.Globalization;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>In how many bytes a node keeps blocks, for people.</summary>
internal static class CodingView
{
    /// <summary>Tiers that encode. A node from before several of them told only of its disk.</summary>
    public static IReadOnlyList<TierCodingStatus> TiersOf(NodeStatus status) =>
        status.Codings ?? (status.Coding is { } disk ? [new TierCodingStatus("disk", disk)] : []);

    public static string Place(string tier) => tier switch
    {
        "host" => "in RAM",
        "disk" => "on disk",
        "redis" => "in Redis",
        _ => $"in {tier}",
    };

    /// <summary>One line of markup; nothing where nothing was encoded, nor was to be.</summary>
    public static string Line(CodingStatus coding)
    {
        var codecs = coding.Codecs.Select(codec =>
            $"{Markup.Escape(codec.Name)} {Formats.Count(codec.EncodedBlocks)}, {Formats.Bytes(codec.EncodedFromBytes)} in {Formats.Bytes(codec.EncodedToBytes)}, "
            + $"{Formats.Count(codec.DecodedBlocks)} read back");
        var fallbacks = coding.Fallbacks.Where(fallback => fallback.Blocks > 0)
            .Select(fallback => $"as they are: {Formats.Count(fallback.Blocks)} {Markup.Escape(fallback.Reason)}");
        string[] wrong = coding.UndecodableBlocks == 0 ? [] : [$"[red bold]{Formats.Count(coding.UndecodableBlocks)} did not decode[/]"];
        return string.Join("; ", codecs.Concat(fallbacks).Concat(wrong));
    }

    /// <summary>A row for each tier and codec, and one for each reason that left blocks as they are.</summary>
    public static Table Table(NodeStatus status)
    {
        var table = new Table().RoundedBorder().Expand();
        table.AddColumn("tier").AddColumn("codec");
        string[] names = ["blocks", "bytes", "encoded", "ratio", "read back", "keys", "values", "outputs", "worst"];
        foreach (var name in names)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var (tier, coding) in TiersOf(status))
        {
            foreach (var codec in coding.Codecs)
            {
                table.AddRow(
                    tier, Markup.Escape(codec.Name), Formats.Count(codec.EncodedBlocks), Formats.Bytes(codec.EncodedFromBytes), Formats.Bytes(codec.EncodedToBytes),
                    Ratio(codec), Formats.Count(codec.DecodedBlocks), Error(codec.Loss is null ? 0 : codec.Loss.Keys), Error(codec.Loss is null ? 0 : codec.Loss.Values),
                    Error(codec.Loss is null ? 0 : codec.Loss.Outputs), Error(codec.Loss is null ? 0 : codec.Loss.WorstOutputs));
            }

            foreach (var fallback in coding.Fallbacks.Where(fallback => fallback.Blocks > 0))
            {
                table.AddRow(tier, $"[yellow]as it is: {Markup.Escape(fallback.Reason)}[/]", Formats.Count(fallback.Blocks));
            }

            if (coding.UndecodableBlocks > 0)
            {
                table.AddRow(tier, "[red bold]did not decode[/]", Formats.Count(coding.UndecodableBlocks));
            }
        }

        return table;
    }

    /// <summary>A relative error; 0 where every bit comes back, and a dash where it was not measured.</summary>
    public static string Error(double? error) => error switch
    {
        null => "–",
        0 => "0",
        { } value => value.ToString("0.000", CultureInfo.InvariantCulture),
    };

    private static string Ratio(CodecStatus codec) =>
        codec.EncodedToBytes == 0 ? "–" : ((double)codec.EncodedFromBytes / codec.EncodedToBytes).ToString("0.00", CultureInfo.InvariantCulture);
}
