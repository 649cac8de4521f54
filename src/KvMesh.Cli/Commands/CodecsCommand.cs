using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh codecs</c>: in how many bytes each tier keeps blocks, and what that costs.</summary>
internal static class CodecsCommand
{
    public static Command Create(Terminal terminal)
    {
        var connection = new AdminConnection();
        var json = CliOption.Json();
        var command = new Command("codecs", "Show in how many bytes each tier keeps blocks, what they lose by it, and why some stay as they are.");
        connection.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            var status = await admin.GetStatusAsync(cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(new CodecsReport(CodingView.TiersOf(status)), CliJson.Default.CodecsReport);
            }
            else if (CodingView.TiersOf(status).All(tier => CodingView.Line(tier.Coding).Length == 0))
            {
                await terminal.Out.WriteLineAsync("Nothing was encoded since the node started. 'kvmesh config Codecs' shows what it is told to do.");
            }
            else
            {
                terminal.Screen.Write(CodingView.Table(status));
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh codecs", "kvmesh codecs --json | jq .tiers", "Errors are relative: of keys, of values, and of attention outputs with queries made from the blocks' own keys.");
    }
}

/// <summary>How each tier encodes.</summary>
internal sealed record CodecsReport(IReadOnlyList<TierCodingStatus> Tiers);
