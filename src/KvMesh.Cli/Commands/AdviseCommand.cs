using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh advise</c>: what more memory, or a codec, would change in what a node finds.</summary>
internal static class AdviseCommand
{
    public static Command Create(Terminal terminal)
    {
        var ram = CliOption.Size("--ram", "RAM more than now. Default: none.", 0, AdviceLimits.MaxMoreBytes, 0);
        var disk = CliOption.Size("--disk", "Disk more than now. Default: none.", 0, AdviceLimits.MaxMoreBytes, 0);
        var codec = CliOption.Real("--codec", "Bytes of a block over the bytes that RAM and disk would keep it in.", 1, AdviceLimits.MaxCodecRatio, 1);
        var connection = new AdminConnection();
        var json = CliOption.Json();
        var command = new Command("advise", "Say what more RAM, more disk or a codec would change in the share of blocks that a node finds.") { ram, disk, codec };
        connection.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            var advice = await admin.GetAdviceAsync(ram.Of(parse), disk.Of(parse), parse.GetValue(codec), cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(advice, AdminJson.Default.AdviceStatus);
            }
            else
            {
                terminal.Screen.Write(AdviceView.Table(advice));
                terminal.Out.WriteLine(AdviceView.Explain(advice));
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh advise --ram 64GiB                  what 64 GiB of RAM more would answer, overall and per tenant",
            "kvmesh advise --disk 1TiB --codec 3.5      more disk, and blocks kept in 1/3.5 of their bytes",
            "kvmesh advise --ram 64GiB --json | jq .all");
    }
}
