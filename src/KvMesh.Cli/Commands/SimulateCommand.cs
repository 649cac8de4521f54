using System.CommandLine;
using System.Globalization;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Simulation.Mesh;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh simulate</c>: a recorded trace over fleets that nobody has to build first.</summary>
internal static class SimulateCommand
{
    private const int MaxNodes = 2_000;

    public static Command Create(Terminal terminal)
    {
        var trace = new Argument<FileInfo>("trace.jsonl") { Description = "Requests in Mooncake's format, as for replay." };
        trace.AcceptExistingOnly();
        var nodes = new Option<int[]>("--nodes")
        {
            Description = $"Sizes of the fleet, 1 to {MaxNodes}, separated by commas. Default: 10,100,1000.",
            CustomParser = result => ParseNodes(result.Tokens.Count > 0 ? result.Tokens[0].Value : "", result.AddError),
            DefaultValueFactory = _ => [10, 100, 1000],
        };
        var total = CliOption.Number("--total-blocks", "Blocks that the whole fleet holds, whatever its size.", 1, 100_000_000, 30_000);
        var blockBytes = CliOption.BlockBytes(64 << 20);
        var horizon = CliOption.Number("--horizon", "Seconds that demand is taken to last: the time over which a copy has to pay.", 1, 86_400, 60);
        var link = CliOption.Size("--link", "Bytes that a node can receive and send a second, each.", 1 << 20, 1L << 50, 12_500_000_000);
        var compute = CliOption.Size("--compute", "Bytes of keys and values that an engine computes a second.", 1 << 20, 1L << 50, 1L << 30);
        var failures = CliOption.Number("--failures", "Nodes of each fleet that fail once, at a random moment, lose all they hold and come back empty. The one cache does not fail.", 0, MaxNodes, 0);
        var down = CliOption.Number("--down", "Seconds that a node stays away.", 1, 86_400, 300);
        var seed = CliOption.Number("--seed", "Seed of the choice among equals, and of failures.", 0, int.MaxValue, 1);
        var json = CliOption.Json();
        var command = new Command("simulate", "Run a recorded trace through simulated fleets with the real placement planner.") { trace, nodes, total, blockBytes, horizon, link, compute, failures, down, seed, json };
        command.SetAction(parse =>
        {
            var requests = ReplayCommand.Load(parse.GetRequiredValue(trace));
            var rows = new List<SimulationRow>();
            var failing = parse.GetValue(failures);
            if (parse.GetValue(nodes)!.Min() is var smallest && failing >= smallest)
            {
                throw new CommandException(ExitCode.Usage, $"--failures is {failing} and the smallest fleet has {smallest} nodes; fewer must fail than there are.");
            }

            foreach (var count in parse.GetValue(nodes)!)
            {
                var common = new MeshScenario { Nodes = count, BlocksPerNode = 1, BlockBytes = blockBytes.Of(parse) };
                common = common with
                {
                    LinkBytesPerSecond = link.Of(parse),
                    RecomputeBytesPerSecond = compute.Of(parse),
                    Faults = NodeFault.Spread(failing, count, requests.Count > 0 ? requests[^1].TimestampMs : 0, TimeSpan.FromSeconds(parse.GetValue(down)), parse.GetValue(seed)),
                };
                common = common with { Placement = common.Placement with { Seed = parse.GetValue(seed), Horizon = TimeSpan.FromSeconds(parse.GetValue(horizon)) } };
                rows.AddRange(MeshComparison.Run(common, parse.GetValue(total), requests).Select(row => SimulationRow.Of(count, row.Name, row.Report)));
            }

            Print(terminal, parse.GetValue(json), new SimulationReport(requests.Count, parse.GetValue(total), [.. rows]));
            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh simulate conversation.jsonl                                    fleets of 10, 100 and 1,000 nodes",
            "kvmesh simulate conversation.jsonl --nodes 4,16 --total-blocks 50000  other fleets",
            "kvmesh simulate conversation.jsonl --failures 3 --link 1GiB           nodes that fail, on links of 10 Gbit/s",
            "The fleet's memory stays the same: more nodes means smaller ones. Hits at another node of the mesh count as hits.");
    }

    private static int[] ParseNodes(string text, Action<string> addError)
    {
        var counts = new List<int>();
        foreach (var part in text.Split(','))
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count is < 1 or > MaxNodes)
            {
                addError($"--nodes: '{part}' is not a number of nodes from 1 to {MaxNodes}.");
                return [];
            }

            counts.Add(count);
        }

        return [.. counts];
    }

    private static void Print(Terminal terminal, bool json, SimulationReport report)
    {
        if (json)
        {
            terminal.WriteJson(report, CliJson.Default.SimulationReport);
            return;
        }

        var table = new Table().RoundedBorder();
        table.AddColumns("nodes", "fleet");
        foreach (var name in new[] { "hit", "of it local", "mean wait", "pulled", "moved by orders", "orders", "plan p50 / p99" })
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var row in report.Rows)
        {
            table.AddRow(
                Formats.Count(row.Nodes), row.Fleet, Formats.Percent(row.HitRatio), Formats.Percent(row.LocalRatio),
                Formats.Latency(TimeSpan.FromSeconds(row.MeanWaitSeconds)), Formats.Bytes(row.PulledBytes), Formats.Bytes(row.MovedBytes),
                Formats.Count(row.Orders),
                FormattableString.Invariant($"{row.PlanMillisecondsMedian:0.0} / {row.PlanMillisecondsP99:0.0} ms"));
        }

        terminal.Screen.Write(table);
    }
}

/// <summary>What <c>kvmesh simulate --json</c> prints.</summary>
internal sealed record SimulationReport(int Requests, int TotalBlocks, IReadOnlyList<SimulationRow> Rows);

/// <param name="LocalRatio">Of the hits, those at the node that the request entered.</param>
internal sealed record SimulationRow(
    int Nodes, string Fleet, double HitRatio, double LocalRatio, double MeanWaitSeconds, long PulledBytes, long MovedBytes, int Plans,
    int Orders, double PlanMillisecondsMedian, double PlanMillisecondsP99)
{
    public static SimulationRow Of(int nodes, string fleet, MeshReport report) => new(
        nodes, fleet, report.HitRatio, (double)report.LocalHits / Math.Max(1, report.LocalHits + report.RemoteHits), report.MeanWaitSeconds,
        report.PulledBytes, report.MovedBytes, report.Plans, report.Orders, report.PlanMilliseconds.Median, report.PlanMilliseconds.P99);
}
