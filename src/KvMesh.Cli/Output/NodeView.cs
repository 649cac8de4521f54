using KvMesh.Protocol.Admin;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace KvMesh.Cli.Output;

/// <summary>One node at one moment, for people: <c>status</c> prints it, <c>top</c> repaints it.</summary>
internal static class NodeView
{
    private const int BarWidth = 24;

    /// <param name="status">The node.</param>
    /// <param name="sample">Its last second; null leaves rates out.</param>
    /// <param name="fillsWidth">Whether tables are as wide as the terminal; else as wide as what is in them.</param>
    public static IRenderable Render(NodeStatus status, HistorySample? sample, bool fillsWidth = true)
    {
        var rows = new List<IRenderable> { Header(status), new Text("") };
        if (sample is not null)
        {
            rows.Add(Rates(sample));
            rows.Add(new Text(""));
        }

        rows.Add(Tiers(status));
        if (status.FarTiers is { Count: > 0 } far)
        {
            rows.Add(FarTiers(far));
        }

        rows.Add(Counters(status));
        foreach (var table in rows.OfType<Table>())
        {
            table.Expand = fillsWidth;
        }

        return new Rows(rows);
    }

    /// <summary>The last second in one line.</summary>
    public static string Line(LiveUpdate update)
    {
        var (status, sample) = update;
        var host = status.Tiers.FirstOrDefault(tier => tier.Name == "host");
        var text = $"host {Formats.Bytes(host?.UsedBytes ?? 0)} {Formats.Count(host?.Blocks ?? 0)} blocks";
        return sample is null
            ? text
            : $"{text}  in {Formats.Rate(sample.BytesIn)}  out {Formats.Rate(sample.BytesOut)}  hit {Ratio(sample.HitRatio)}  "
                + $"match {Ratio(sample.MatchRatio)}  get p99 {Latency(sample.Get?.P99Microseconds)}  connections {sample.Connections}  "
                + $"mismatches {status.Integrity.Mismatches}";
    }

    private static Grid Header(NodeStatus status)
    {
        var state = !status.IsReady ? "[yellow]not ready[/]" : status.State == "active" ? "[green]ready[/]" : $"[yellow]{Markup.Escape(status.State)}[/]";
        var doors = string.Join("   ", status.Endpoints.Select(endpoint => $"{endpoint.Protocol} {endpoint.Address}"));
        var process = status.Process;
        return new Grid().AddColumn()
            .AddRow(new Markup(
                $"[bold]{Markup.Escape(status.NodeId)}[/]  {state}  KvMesh {Markup.Escape(status.Version.Split('+')[0])}  "
                + $"up {Formats.Duration(TimeSpan.FromSeconds(status.UptimeSeconds))}  incarnation {status.Incarnation}"))
            .AddRow(new Markup($"[grey]{Markup.Escape(doors)}[/]"))
            .AddRow(new Markup(
                $"[grey]{Markup.Escape(status.DataDirectory)}   pid {process.ProcessId}, {Formats.Bytes(process.ResidentBytes)} resident, "
                + $"{process.Threads} threads[/]"));
    }

    private static Table Rates(HistorySample sample)
    {
        var table = new Table().RoundedBorder().Expand();
        string[] names = ["in", "out", "reads/s", "writes/s", "hit", "match", "get p50 / p99", "put p50 / p99", "evicted/s", "connections"];
        foreach (var name in names)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        return table.AddRow(
            Formats.Rate(sample.BytesIn), Formats.Rate(sample.BytesOut), Formats.Count((long)sample.Reads), Formats.Count((long)sample.Writes),
            Ratio(sample.HitRatio), Ratio(sample.MatchRatio),
            $"{Latency(sample.Get?.P50Microseconds)} / {Latency(sample.Get?.P99Microseconds)}",
            $"{Latency(sample.Put?.P50Microseconds)} / {Latency(sample.Put?.P99Microseconds)}",
            Formats.Count((long)sample.Evictions), Formats.Count(sample.Connections));
    }

    private static Table Tiers(NodeStatus status)
    {
        var table = new Table().RoundedBorder().Expand();
        table.AddColumn("tier").AddColumn("occupancy");
        string[] names = ["used", "of", "blocks", "hits", "evictions", "dropped"];
        foreach (var name in names)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var tier in status.Tiers)
        {
            var ratio = tier.CapacityBytes > 0 ? (double)tier.UsedBytes / tier.CapacityBytes : 0;
            table.AddRow(
                tier.Name, $"{Formats.Bar(ratio, BarWidth)} {ratio * 100:0} %", Formats.Bytes(tier.UsedBytes), Formats.Bytes(tier.CapacityBytes),
                Formats.Count(tier.Blocks), Formats.Count(tier.Hits), Formats.Count(tier.Evictions), Formats.Count(tier.DroppedBlocks));
        }

        return table;
    }

    /// <summary>Tiers that other nodes have a part in: the node knows what came from them, and what they hold only of its workers.</summary>
    private static Table FarTiers(IReadOnlyList<FarTierStatus> tiers)
    {
        var table = new Table().RoundedBorder().Expand();
        table.AddColumn("beyond the node").AddColumn("state");
        string[] names = ["known there", "blocks from it", "bytes from it", "misses", "map wrong", "failed", "blocks to it", "bytes to it"];
        foreach (var name in names)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var tier in tiers)
        {
            table.AddRow(
                new Text(tier.Name), new Markup(tier.State == "up" ? "[green]up[/]" : $"[yellow]{Markup.Escape(tier.State)}[/]"),
                new Text(tier.KnownBlocks is { } blocks ? $"{Formats.Count(blocks)}, {Formats.Bytes(tier.KnownBytes ?? 0)}" : ""),
                new Text(Formats.Count(tier.Hits)), new Text(Formats.Bytes(tier.HitBytes)), new Text(Formats.Count(tier.Misses)),
                new Text(Formats.Count(tier.FalseHits)), new Text(Formats.Count(tier.Failures)), new Text(Formats.Count(tier.GivenBlocks)),
                new Text(Formats.Bytes(tier.GivenBytes)));
        }

        return table;
    }

    private static Table Counters(NodeStatus status)
    {
        var (traffic, integrity) = (status.Traffic, status.Integrity);
        var mismatches = integrity.Mismatches == 0 ? "[green]no mismatch[/]" : $"[red bold]{Formats.Count(integrity.Mismatches)} mismatches[/]";
        var open = string.Join(", ", status.Protocols.Select(protocol => $"{protocol.Protocol} {protocol.OpenConnections}"));
        var table = new Table().RoundedBorder().Expand().HideHeaders();
        table.AddColumn("").AddColumn("");
        Add("reads", $"{Formats.Count(traffic.Reads)}, {Share(traffic.ReadHits, traffic.Reads)} hit, {Formats.Bytes(traffic.ReadBytes)}");
        Add("writes", $"{Formats.Count(traffic.Writes)}, {Formats.Bytes(traffic.WrittenBytes)}; already there {Formats.Count(traffic.DuplicateWrites)}, no room {Formats.Count(traffic.RefusedWrites)}");
        Add("prefix matches", $"{Formats.Count(traffic.MatchRequests)}, {Share(traffic.MatchedBlocks, traffic.AskedBlocks)} of {Formats.Count(traffic.AskedBlocks)} blocks found");
        Add("integrity", $"{mismatches}, {Formats.Count(integrity.VerifiedBlocks)} blocks verified, {Formats.Count(integrity.ScrubbedBlocks)} scrubbed");
        foreach (var tier in CodingView.TiersOf(status))
        {
            if (CodingView.Line(tier.Coding) is { Length: > 0 } line)
            {
                Add($"encoded {CodingView.Place(tier.Tier)}", line);
            }
        }

        Add("connections", open.Length > 0 ? open : "none");
        return table;

        void Add(string name, string markup) => table.AddRow(new Text(name), new Markup(markup));
    }

    private static string Share(long part, long whole) => whole == 0 ? "–" : Formats.Percent((double)part / whole);

    private static string Ratio(double? ratio) => ratio is { } value ? Formats.Percent(value) : "–";

    private static string Latency(double? microseconds) => microseconds is { } value ? Formats.Latency(TimeSpan.FromMicroseconds(value)) : "–";
}
