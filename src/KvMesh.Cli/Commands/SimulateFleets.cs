using System.CommandLine;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Simulation.Mesh;
using KvMesh.Simulation.Traces;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary>The half of <c>kvmesh simulate</c> that <c>--nodes</c> asks for: fleets of one total memory, with the real placement planner.</summary>
internal sealed class SimulateFleets
{
    private const int MaxNodes = 2_000;

    private readonly Option<int[]> _nodes = new("--nodes")
    {
        Description = $"Fleets instead of one cache: their sizes, 1 to {MaxNodes}, separated by commas.",
        HelpName = "n,n,…",
        CustomParser = result => NumberList.Parse(result, "a number of nodes", 1, MaxNodes),
    };

    private readonly Option<int> _total = CliOption.Number("--total-blocks", "Blocks that the whole fleet holds, whatever its size.", 1, 100_000_000, 30_000);
    private readonly SizeOption _blockBytes = CliOption.BlockBytes(64 << 20);
    private readonly Option<int> _horizon = CliOption.Number("--horizon", "Seconds that demand is taken to last: the time over which a copy has to pay.", 1, 86_400, 60);
    private readonly SizeOption _link = CliOption.Size("--link", "Bytes that a node can receive and send a second, each.", 1 << 20, 1L << 50, 12_500_000_000);
    private readonly SizeOption _compute = CliOption.Size("--compute", "Bytes of keys and values that an engine computes a second.", 1 << 20, 1L << 50, 1L << 30);
    private readonly Option<int> _failures = CliOption.Number("--failures", "Nodes of each fleet that fail once, at a random moment, lose all they hold and come back empty. The one cache does not fail.", 0, MaxNodes, 0);
    private readonly Option<int> _down = CliOption.Number("--down", "Seconds that a node stays away.", 1, 86_400, 300);
    private readonly Option<int> _seed = CliOption.Number("--seed", "Seed of the choice among equals, and of failures.", 0, int.MaxValue, 1);

    private IReadOnlyList<Option> Details => [_total, _blockBytes, _horizon, _link, _compute, _failures, _down, _seed];

    public void AddTo(Command command)
    {
        command.Add(_nodes);
        foreach (var option in Details)
        {
            command.Add(option);
        }
    }

    /// <summary>Whether fleets are asked for.</summary>
    /// <exception cref="CommandException">Something is told about fleets, and none are asked for.</exception>
    public bool AreAsked(ParseResult parse)
    {
        var areAsked = parse.GetResult(_nodes) is { Implicit: false };
        return areAsked || Details.FirstOrDefault(option => parse.GetResult(option) is { Implicit: false }) is not { } stray
            ? areAsked
            : throw new CommandException(ExitCode.Usage, $"{stray.Name} describes fleets; it needs --nodes.");
    }

    public void Run(ParseResult parse, List<PromptRequest> requests, bool json, Terminal terminal)
    {
        var counts = parse.GetValue(_nodes)!;
        var rows = new List<SimulationRow>();
        var failing = parse.GetValue(_failures);
        if (counts.Min() is var smallest && failing >= smallest)
        {
            throw new CommandException(ExitCode.Usage, $"--failures is {failing} and the smallest fleet has {smallest} nodes; fewer must fail than there are.");
        }

        foreach (var count in counts)
        {
            var common = new MeshScenario { Nodes = count, BlocksPerNode = 1, BlockBytes = _blockBytes.Of(parse) };
            common = common with
            {
                LinkBytesPerSecond = _link.Of(parse),
                RecomputeBytesPerSecond = _compute.Of(parse),
                Faults = NodeFault.Spread(failing, count, requests[^1].TimestampMs, TimeSpan.FromSeconds(parse.GetValue(_down)), parse.GetValue(_seed)),
            };
            common = common with { Placement = common.Placement with { Seed = parse.GetValue(_seed), Horizon = TimeSpan.FromSeconds(parse.GetValue(_horizon)) } };
            rows.AddRange(MeshComparison.Run(common, parse.GetValue(_total), requests).Select(row => SimulationRow.Of(count, row.Name, row.Report)));
        }

        Print(terminal, json, new SimulationReport(requests.Count, parse.GetValue(_total), [.. rows]));
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

/// <summary>What <c>kvmesh simulate --nodes … --json</c> prints.</summary>
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
