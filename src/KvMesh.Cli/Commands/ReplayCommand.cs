using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Cli.Workload;
using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh replay</c>: recorded requests through a node, with real payloads, every byte checked.</summary>
internal static class ReplayCommand
{
    private const int DefaultBlockBytes = 64 * 1024;

    /// <summary>What a client is promised in real time, and a floor that still outlasts one request.</summary>
    private static readonly TimeSpan RealLease = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShortestLease = TimeSpan.FromMilliseconds(200);

    /// <summary>For one client at a time: nobody makes leave what it was promised before it has read it.</summary>
    private static readonly TimeSpan LeaseOfOne = TimeSpan.FromMilliseconds(1);

    public static Command Create(Terminal terminal, TimeProvider time)
    {
        var target = new WorkloadTarget(DefaultBlockBytes);
        var several = new MeshTarget(target);
        var trace = new Argument<FileInfo>("trace.jsonl")
        {
            Description = "Requests in Mooncake's format: timestamp (ms), input_length, output_length, hash_ids of 512-token blocks.",
        };
        trace.AcceptExistingOnly();
        var clients = CliOption.Number("--clients", "Engines that take requests in turn. 1 keeps the trace's order exactly.", 1, 256, 1);
        var speed = CliOption.Real("--speed", "1 keeps the recorded arrival times, 10 is ten times faster, 0 waits for nothing.", 0, 1e6, 0);
        var seed = CliOption.Number("--seed", "Seed of the payloads; part of every key.", 0, int.MaxValue, 1);
        var json = CliOption.Json();
        var command = new Command("replay", "Replay a recorded request trace through a node with real payload bytes. Every hit is checked byte for byte.")
        {
            trace,
        };
        target.AddTo(command);
        several.AddTo(command);
        command.Add(clients);
        command.Add(speed);
        command.Add(seed);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            var requests = Load(parse.GetRequiredValue(trace));
            var keys = new WorkloadKeys("kvmesh-replay", (ulong)parse.GetValue(seed), target.BlockBytesOf(parse));
            var mesh = several.Of(parse, time);
            var (node, door) = mesh is null ? await target.OpenAsync(parse, LeaseAt(parse.GetValue(speed), parse.GetValue(clients)), cancellationToken) : (null, null);
            await using var embedded = node;
            await using var fleet = await WorkloadFleet.OpenAsync((IDoorSource?)mesh ?? door!, keys, parse.GetValue(clients), time, cancellationToken);
            MeshSummary.WriteAbsent(mesh, terminal.Error);
            var runner = new WorkloadRunner(requests, fleet.Clients, time, parse.GetValue(speed));
            var interrupted = await WorkloadProgress.RunAsync("replay", runner, terminal, time, cancellationToken);
            var report = WorkloadReport.Of(runner.Totals, runner.Elapsed, keys.BlockBytes, interrupted) with
            {
                Endpoints = mesh is null ? null : EndpointReport.Of(runner, mesh.Nodes),
            };
            MeshSummary.WriteProblems(mesh, terminal.Error);
            Print(parse.GetValue(json), report, runner, terminal);
            return (int)report.ExitCode;
        });
        return command.WithExamples(
            "kvmesh replay conversation.jsonl --capacity-blocks 10000            a node of 10,000 blocks inside this process",
            "kvmesh replay conversation.jsonl --via resp --endpoint 127.0.0.1:8602   a running node, as LMCache uses it",
            "kvmesh replay conversation.jsonl --endpoints tcp://127.0.0.1:8601,tcp://127.0.0.1:8611 --routing affinity   a mesh, entered at two nodes",
            "kvmesh replay conversation.jsonl --clients 8 --speed 10 --json      eight engines, ten times real time, for a script",
            "With --endpoints a node that does not answer costs misses: its requests go to the next node until it is back.",
            "A block counts as hit when it and all blocks before it were there. A partial block at the end is never stored.");
    }

    /// <summary>
    /// A replay squeezes an hour into seconds. Promises are squeezed alike, or they would keep what the recorded fleet had long
    /// let go: on a fast machine all that the node has.
    /// </summary>
    private static TimeSpan LeaseAt(double speed, int clients)
    {
        var shortest = clients == 1 ? LeaseOfOne : ShortestLease;
        return speed == 0 || RealLease / speed < shortest ? shortest : RealLease / speed;
    }

    /// <exception cref="CommandException">It is no trace; the message names file, line and field.</exception>
    internal static List<PromptRequest> Load(FileInfo trace)
    {
        try
        {
            return MooncakeTrace.Load(trace.FullName);
        }
        catch (TraceFormatException e)
        {
            throw new CommandException(ExitCode.Failure, $"{trace.Name}: {e.Message}", e);
        }
    }

    private static void Print(bool json, WorkloadReport report, WorkloadRunner runner, Terminal terminal)
    {
        if (json)
        {
            terminal.WriteJson(report, CliJson.Default.WorkloadReport);
        }
        else
        {
            terminal.Screen.Write(WorkloadSummary.Render("Replay", report, runner));
            if (report.Endpoints is { } endpoints)
            {
                terminal.Screen.Write(MeshSummary.Render(endpoints));
            }
        }

        WorkloadSummary.WriteProblems(report, runner, terminal.Error);
    }
}
