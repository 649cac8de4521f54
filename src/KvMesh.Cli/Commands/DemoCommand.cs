using System.CommandLine;
using KvMesh.Cli.Demo;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh demo</c>: a node at work, to look at.</summary>
internal static class DemoCommand
{
    private const long MaxBytes = 1L << 50;
    private const int DefaultBlockBytes = 256 * 1024;

    public static Command Create(Terminal terminal, TimeProvider time)
    {
        var options = new Options();
        var command = new Command("demo", "Start a node inside this process and run chats against it: shared system prompts, turns, branches. Every byte is checked.");
        foreach (var option in options.All)
        {
            command.Add(option);
        }

        command.SetAction((parse, cancellationToken) => RunAsync(parse, options, terminal, time, cancellationToken));
        return command.WithExamples(
            "kvmesh demo                          the dashboard stays up until Ctrl-C",
            "kvmesh demo --exit --json            for a script: one JSON object, exit code 5 if a byte was wrong",
            "kvmesh demo --requests 20000 --block-bytes 1MiB --arena 4GiB    longer and larger");
    }

    private static async Task<int> RunAsync(
        ParseResult parse, Options options, Terminal terminal, TimeProvider time, CancellationToken cancellationToken)
    {
        var isJson = parse.GetValue(options.Json);
        await using var node = await EmbeddedNode.StartAsync(Describe(parse, options), cancellationToken);
        var dashboard = node.Node.Endpoints.Http;
        var blockBytes = (int)options.BlockBytes.Of(parse);
        await using var session = await DemoSession.OpenAsync(
            node, parse.GetValue(options.Seed), parse.GetValue(options.Requests), blockBytes, time, cancellationToken);
        var interrupted = await DemoView.ShowAsync(session, dashboard, isJson ? null : terminal, time, cancellationToken);
        var report = DemoReport.Of(session, dashboard, blockBytes, interrupted);
        Print(isJson, report, session, terminal);
        if (!parse.GetValue(options.Exit) && !interrupted)
        {
            await terminal.Error.WriteLineAsync($"kvmesh: the dashboard stays at {dashboard} until Ctrl-C");
            var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var onSignal = cancellationToken.Register(() => stop.TrySetResult());
            await Task.WhenAny(stop.Task, node.Node.Ended);
        }

        return (int)report.ExitCode;
    }

    private static EmbeddedNodeOptions Describe(ParseResult parse, Options options) => new()
    {
        DataDirectory = parse.GetValue(options.DataDirectory),
        ArenaBytes = Math.Max(options.Arena.Of(parse), 64 * options.BlockBytes.Of(parse)),
        DiskBytes = options.Disk.Of(parse),
        HttpPort = parse.GetValue(options.HttpPort),
        Console = true,
    };

    private static void Print(bool isJson, DemoReport report, DemoSession session, Terminal terminal)
    {
        if (isJson)
        {
            terminal.WriteJson(report, CliJson.Default.DemoReport);
        }
        else
        {
            terminal.Screen.WriteLine();
            terminal.Screen.Write(DemoSummary.Render(report, session));
        }

        foreach (var lane in session.Lanes)
        {
            WorkloadSummary.WriteProblems(report.Doors[lane.Key], lane.Runner, terminal.Error);
        }
    }

    private sealed class Options
    {
        public Option<int> Requests { get; } = CliOption.Number("--requests", "Prompts in all, over the three doors.", 3, 10_000_000, 1800);

        public Option<int> Seed { get; } = CliOption.Number("--seed", "Same seed, same prompts and payloads.", 0, int.MaxValue / 4, 1);

        public SizeOption BlockBytes { get; } = CliOption.BlockBytes(DefaultBlockBytes);

        public SizeOption Arena { get; } = CliOption.Size("--arena", "RAM for blocks. Default: 512 MiB.", 1 << 20, MaxBytes, 512L << 20);

        public SizeOption Disk { get; } = CliOption.Size("--disk", "Disk for blocks. Default: 1 GiB.", 0, MaxBytes, 1L << 30);

        public Option<string> DataDirectory { get; } = new("--data-dir") { Description = "Folder of the node. Default: a temporary one.", HelpName = "folder" };

        public Option<int> HttpPort { get; } = CliOption.Number("--http-port", "Port of the dashboard; 0: any free one.", 0, 65535, 0);

        public Option<bool> Exit { get; } = new("--exit") { Description = "End after the summary instead of keeping the dashboard up." };

        public Option<bool> Json { get; } = CliOption.Json();

        public IEnumerable<Option> All => [Requests, Seed, BlockBytes, Arena, Disk, DataDirectory, HttpPort, Exit, Json];
    }
}
