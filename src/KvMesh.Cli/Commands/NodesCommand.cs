using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh nodes</c>: the cluster as one of its nodes sees it.</summary>
internal static class NodesCommand
{
    public static Command Create(Terminal terminal)
    {
        var connection = new AdminConnection();
        var json = CliOption.Json();
        var forget = new Option<string>("--forget")
        {
            Description = "Declare a node gone, at once and however many others are silent. One that lives all the same joins again.",
            HelpName = "id",
        };
        var command = new Command("nodes", "Show the nodes of the cluster, as one of them sees it.") { forget };
        connection.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            if (parse.GetValue(forget) is { } id)
            {
                return await ForgetAsync(admin, id, parse.GetValue(json), terminal, cancellationToken);
            }

            var status = await admin.GetNodesAsync(cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(status, AdminJson.Default.ClusterStatus);
            }
            else
            {
                Write(status, terminal);
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh nodes", "kvmesh nodes --node http://gpu-7:8600 --json | jq -r .nodes[].nativeAddress", "kvmesh nodes --forget gpu-3");
    }

    private static async Task<int> ForgetAsync(Client.Admin.AdminClient admin, string id, bool asJson, Terminal terminal, CancellationToken cancellationToken)
    {
        if (!await admin.ForgetNodeAsync(id, cancellationToken))
        {
            throw new CommandException(ExitCode.NotFound, $"No other member of the cluster has the id '{id}'.");
        }

        await terminal.Error.WriteLineAsync($"kvmesh: {id} was declared gone");
        if (asJson)
        {
            terminal.WriteJson(new ForgetReport(id), CliJson.Default.ForgetReport);
        }

        return (int)ExitCode.Success;
    }

    private static void Write(ClusterStatus status, Terminal terminal)
    {
        var state = status.Standing == "member" ? "[green]member[/]" : $"[yellow]{Markup.Escape(status.Standing)}[/]";
        var silence = status.StoreSilentSeconds is { } seconds ? $"  [yellow]silent for {Formats.Duration(TimeSpan.FromSeconds(seconds))}[/]" : "";
        terminal.Screen.MarkupLine($"[bold]{Markup.Escape(status.Cluster)}[/]  seen by {Markup.Escape(status.Self)} ({state}), {Markup.Escape(status.Store)}{silence}, view {status.Epoch}");
        if (status.Reason.Length > 0)
        {
            terminal.Screen.MarkupLine($"[yellow]{Markup.Escape(status.Reason)}[/]");
        }

        if (status.HeldBack.Count > 0)
        {
            terminal.Screen.MarkupLine($"[yellow]silent, and kept because too many are: {Markup.Escape(string.Join(", ", status.HeldBack))}[/]");
        }

        terminal.Screen.Write(Table(status));
    }

    private static Table Table(ClusterStatus status)
    {
        var table = new Table().RoundedBorder();
        foreach (var name in new[] { "node", "state", "run", "native", "http", "resp", "RAM", "disk" })
        {
            table.AddColumn(name);
        }

        foreach (var node in status.Nodes)
        {
            var state = node.IsUsed ? node.State : $"protocol {node.MinProtocol}-{node.MaxProtocol}, not used";
            table.AddRow(
                Markup.Escape(node.Id), state, $"{node.Incarnation}", Markup.Escape(node.NativeAddress), Markup.Escape(node.HttpAddress),
                Markup.Escape(node.RespAddress), Tier(node, "host"), Tier(node, "disk"));
        }

        return table;
    }

    private static string Tier(MemberStatus node, string name) => node.Tiers.FirstOrDefault(tier => tier.Name == name) is { CapacityBytes: > 0 } tier
        ? $"{Formats.Bytes(tier.UsedBytes)} of {Formats.Bytes(tier.CapacityBytes)}"
        : "–";
}

/// <summary>What <c>nodes --forget --json</c> prints.</summary>
/// <param name="Forgotten">Id of the node that was declared gone.</param>
internal sealed record ForgetReport(string Forgotten);
