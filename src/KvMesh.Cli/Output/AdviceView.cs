using System.Globalization;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Output;

/// <summary>What a change of capacity would do, for people.</summary>
internal static class AdviceView
{
    /// <summary>A row for all tenants, and one for each where there are several.</summary>
    public static Table Table(AdviceStatus advice)
    {
        var table = new Table().RoundedBorder();
        table.AddColumn("tenant");
        string[] names = ["asked", "RAM now", "then", "change", "RAM and disk now", "then", "change", "unbounded", "off by"];
        foreach (var name in names)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        AddRow(table, "all", advice.All);
        foreach (var (tenant, shares) in advice.Tenants.Count > 1 ? advice.Tenants : [])
        {
            AddRow(table, tenant ?? "all others", shares);
        }

        return table;
    }

    /// <summary>What was compared, in a sentence.</summary>
    public static string Explain(AdviceStatus advice)
    {
        var codec = advice.CodecRatio.ToString("0.##", CultureInfo.InvariantCulture);
        return advice.All.Touches < 1
            ? "Nothing was asked of the node yet."
            : $"now: {Formats.Bytes(advice.HostBytes)} of RAM, {Formats.Bytes(advice.DiskBytes)} of disk; "
                + $"then: {Formats.Bytes(advice.HostBytes + advice.MoreHostBytes)} of RAM, {Formats.Bytes(advice.DiskBytes + advice.MoreDiskBytes)} of disk, "
                + $"blocks in 1/{codec} of their bytes. Shares of the blocks asked for, LRU, estimated from {Formats.Count(advice.SampledBlocks)} blocks; changes are in points, "
                + "and a curve is off by less than the last column says in nine of ten cases.";
    }

    private static void AddRow(Table table, string name, AdviceShares shares) => table.AddRow(
        Markup.Escape(name), Formats.Count((long)Math.Round(shares.Touches)), Formats.Percent(shares.HostNow), Formats.Percent(shares.HostThen),
        Points(shares.HostThen - shares.HostNow), Formats.Percent(shares.NodeNow), Formats.Percent(shares.NodeThen), Points(shares.NodeThen - shares.NodeNow),
        Formats.Percent(shares.Largest), "±" + (shares.Margin * 100).ToString("0.0", CultureInfo.InvariantCulture));

    private static string Points(double difference) => (difference * 100).ToString("+0.00;-0.00;0.00", CultureInfo.InvariantCulture);
}
