using System.CommandLine;
using KvMesh.Cli.Bench;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Cli.Workload;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh bench</c>: what one front door of a node does on this machine.</summary>
internal static class BenchCommand
{
    private const int DefaultBlockBytes = 1024 * 1024;

    public static Command Create(Terminal terminal, TimeProvider time)
    {
        var target = new WorkloadTarget(DefaultBlockBytes);
        var clients = CliOption.Number("--clients", "Clients, each with one request in flight.", 1, 256, 2);
        var blocks = CliOption.Number("--blocks", "Blocks that each client puts, then gets.", 1, 4096, 128);
        var seconds = CliOption.Real("--seconds", "Time for gets, and again for matches.", 0.1, 3600, 3);
        var json = CliOption.Json();
        var command = new Command("bench", "Measure put, get and prefix match through one front door, with percentiles. Every byte read is checked.")
        {
            clients, blocks, seconds,
        };
        target.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            // Keys of an earlier run would make puts that send no bytes: the time names this run's.
            var keys = new WorkloadKeys("kvmesh-bench", (ulong)time.GetUtcNow().ToUnixTimeMilliseconds(), target.BlockBytesOf(parse));
            var (node, door) = await target.OpenAsync(parse, maxLease: null, cancellationToken);
            await using var embedded = node;
            await using var doors = await BenchDoors.OpenAsync(door, keys, parse.GetValue(clients), cancellationToken);
            var runner = new BenchRunner(doors.Doors, keys, parse.GetValue(blocks), time);
            var duration = TimeSpan.FromSeconds(parse.GetValue(seconds));
            var put = await runner.PutAsync(cancellationToken);
            if (put.Operations == 0 && runner.FirstProblem is { } refusal)
            {
                throw new CommandException(ExitCode.Failure, $"nothing was stored, so there is nothing to measure; {refusal}");
            }

            List<BenchResult> results =
            [
                put,
                await runner.GetAsync(duration, cancellationToken),
                await runner.MatchAsync(duration, cancellationToken),
            ];
            cancellationToken.ThrowIfCancellationRequested();
            var via = target.ViaOf(parse).ToString().ToLowerInvariant();
            var report = new BenchReport(via, keys.BlockBytes, parse.GetValue(clients), results, runner.MismatchedBytes, runner.Errors);
            Print(parse.GetValue(json), report, parse.GetValue(blocks), terminal);
            if (runner.FirstProblem is { } problem)
            {
                await terminal.Error.WriteLineAsync($"kvmesh: {report.Errors} errors; the first: {problem}");
            }

            return (int)report.ExitCode;
        });
        return command.WithExamples(
            "kvmesh bench                                      a node inside this process, over TCP",
            "kvmesh bench --via shm --block-bytes 4MiB",
            "kvmesh bench --endpoint tcp://gpu-7:8601 --clients 8 --json",
            "Against a running node the blocks of the benchmark stay there until they are evicted or purged (model kvmesh-bench).");
    }

    private static void Print(bool json, BenchReport report, int blocks, Terminal terminal)
    {
        if (json)
        {
            terminal.WriteJson(report, CliJson.Default.BenchReport);
            return;
        }

        var table = new Table().RoundedBorder().Title(
            $"[bold]{report.Via}[/], {report.Clients} clients, blocks of {Formats.Bytes(report.BlockBytes)}, match of {Formats.Count(blocks)} blocks");
        table.AddColumn("");
        string[] names = ["operations", "per second", "throughput", "p50", "p90", "p99", "p99.9", "max"];
        foreach (var name in names)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        foreach (var result in report.Results)
        {
            table.AddRow(
                result.Operation, Formats.Count(result.Operations), Formats.Count((long)result.OperationsPerSecond),
                result.GbPerSecond > 0 ? Formats.Rate(result.GbPerSecond * 1e9) : "–", Latency(result.P50), Latency(result.P90), Latency(result.P99),
                Latency(result.P999), Latency(result.Max));
        }

        terminal.Screen.Write(table);

        static string Latency(double microseconds) => Formats.Latency(TimeSpan.FromMicroseconds(microseconds));
    }
}
