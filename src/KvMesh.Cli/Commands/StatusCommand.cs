using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh status</c>: one node at this moment.</summary>
internal static class StatusCommand
{
    public static Command Create(Terminal terminal)
    {
        var connection = new AdminConnection();
        var json = CliOption.Json();
        var command = new Command("status", "Show what a node holds and does at this moment.");
        connection.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            var status = await admin.GetStatusAsync(cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(status, AdminJson.Default.NodeStatus);
            }
            else
            {
                terminal.Screen.Write(NodeView.Render(status, sample: null, terminal.OutIsTerminal));
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples("kvmesh status", "kvmesh status --node http://gpu-7:8600 --json | jq .tiers");
    }
}
