using System.CommandLine;
using KvMesh.Cli.Local;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh up</c>: a mesh of several nodes on this machine, until a signal ends it.</summary>
internal static class UpCommand
{
    public static Command Create(Terminal terminal, TimeProvider time)
    {
        var nodes = CliOption.Number("--nodes", "Nodes of the mesh.", 1, 64, 3);
        var redis = new Option<string>("--redis") { Description = "Redis where they meet. Default: a redis-server of their own, which ends with them.", HelpName = "host:port" };
        var folder = new Option<string>("--data-dir") { Description = "Folder of the nodes' state. Default: up in the folder of 'kvmesh serve'.", HelpName = "folder" };
        var port = CliOption.Number("--port", "First HTTP port; native and Redis protocol follow, and each node is ten further. 0: any free ones.", 0, 65000, 8600);
        var arena = CliOption.Size("--arena", "RAM for blocks, of all nodes together. Default: a quarter of the machine's.", 1 << 20, 1L << 50, 0);
        var exitAfter = CliOption.Number("--exit-after", "Stop after so many seconds. 0: at a signal.", 0, 86400, 0);
        var json = new Option<bool>("--json") { Description = "Once serving, print one JSON object with all addresses on standard output." };
        var command = new Command("up", "Run a mesh of several nodes on this machine: one cache of content blocks, entered at any of them.") { nodes, redis, folder, port, exitAfter, json };
        command.Add(arena);
        command.SetAction(async (parse, cancellationToken) =>
        {
            var options = new LocalMeshOptions(
                parse.GetValue(nodes), parse.GetValue(redis), parse.GetValue(folder) ?? LocalMesh.DefaultFolder(), parse.GetValue(port), arena.Of(parse));
            await using var mesh = await LocalMesh.StartAsync(options, terminal.Error, time, cancellationToken);
            Announce(mesh, parse.GetValue(json), terminal);
            if (!await WaitAsync(mesh, TimeSpan.FromSeconds(parse.GetValue(exitAfter)), time, cancellationToken))
            {
                throw new CommandException(ExitCode.Failure, "no node is left; why is said above.");
            }

            await terminal.Error.WriteLineAsync("kvmesh: stopping the mesh");
            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh up                          three nodes and a redis-server",
            "kvmesh up --nodes 5 --arena 4GiB",
            "kvmesh nodes                       what the first of them sees",
            "Stop it with Ctrl-C: all nodes save their blocks.",
            "Blocks with keys that name content are one cache; a value that was put under a key of your own is read at the node that has it.",
            "A node that dies is reported and started again at its addresses; one that you stop (kill PID) stays away.");
    }

    private static void Announce(LocalMesh mesh, bool json, Terminal terminal)
    {
        if (json)
        {
            terminal.WriteJson(new UpReport(mesh.Redis, [.. mesh.Nodes]), CliJson.Default.UpReport);
            return;
        }

        var table = new Table().RoundedBorder().AddColumn("node").AddColumn("pid").AddColumn("http").AddColumn("native").AddColumn("resp");
        foreach (var node in mesh.Nodes)
        {
            table.AddRow(node.Id, $"{node.ProcessId}", node.Http, node.Native ?? "off", node.Resp ?? "off");
        }

        terminal.Progress.Write(table);
        terminal.Error.WriteLine($"kvmesh: {mesh.Nodes.Count} nodes meet at {mesh.Redis}; state in {mesh.Folder}; Ctrl-C stops them");
    }

    /// <summary>False when all nodes ended by themselves.</summary>
    private static async Task<bool> WaitAsync(LocalMesh mesh, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var wait = Task.Delay(limit > TimeSpan.Zero ? limit : Timeout.InfiniteTimeSpan, time, end.Token);
        await Task.WhenAny(wait, mesh.AllEnded);
        var wasAskedTo = wait.IsCompleted;
        await end.CancelAsync();
        return wasAskedTo;
    }
}

/// <summary>The nodes of a local mesh.</summary>
internal sealed record UpReport(string Redis, IReadOnlyList<LocalNodeReport> Nodes);
