using System.Buffers.Text;
using System.CommandLine;
using System.Globalization;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Protocol.Admin;
using Spectre.Console;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh block</c>: what a node knows of one block.</summary>
internal static class BlockCommand
{
    public static Command Create(Terminal terminal)
    {
        var key = KeyArgument.Create();
        var tenant = new Option<string>("--tenant") { Description = "Owner of the block. Default: your token's tenant.", HelpName = "name" };
        var connection = new AdminConnection();
        var json = CliOption.Json();
        var command = new Command("block", "Show where a block is, how it lies there, and what it has lost. Exit code 4 when it is not here.") { key, tenant };
        connection.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            var name = parse.GetRequiredValue(key);
            var bytes = KeyArgument.Parse(name);
            using var admin = connection.Create(parse);
            var block = await admin.FindBlockAsync(parse.GetValue(tenant), Base64Url.EncodeToString(bytes), cancellationToken)
                ?? throw new CommandException(ExitCode.NotFound, $"there is no block {name} here");
            if (parse.GetValue(json))
            {
                terminal.WriteJson(block, AdminJson.Default.BlockStatus);
            }
            else
            {
                terminal.Screen.Write(Render(block));
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh block prompts/system", "kvmesh block hex:00ff --json | jq .onDisk", "Looking does not count as a use. Of a block that lies encoded on disk 4 KiB are read.");
    }

    private static Table Render(BlockStatus block)
    {
        var table = new Table().RoundedBorder().HideHeaders();
        table.AddColumn("").AddColumn("");
        Add("tenant", block.Tenant);
        Add("bytes", $"{Formats.Bytes(block.PayloadBytes)} ({Formats.Count(block.PayloadBytes)})");
        Add("is", string.Join(", ", block.Tiers.Select(CodingView.Place)));
        if (block.OnDisk is { } form)
        {
            Add("on disk", $"{form.Codec}, {Formats.Bytes(form.Bytes)}, {((double)block.PayloadBytes / form.Bytes).ToString("0.00", CultureInfo.InvariantCulture)} to 1");
        }

        Add("has lost", LossOf(block.Loss));
        if (block.LossBelow is not null)
        {
            Add("loses below RAM", LossOf(block.LossBelow));
        }

        Add("model", block.Model.Length > 0 ? $"{block.Model} {block.Revision}".TrimEnd() : "unknown");
        Add("hits", Formats.Count(block.Hits));
        Add("expires", block.ExpiresAt?.ToString("u", CultureInfo.InvariantCulture) ?? "never");
        Add("table checksum", block.TableChecksum);
        return table;

        void Add(string name, string value) => table.AddRow(new Text(name), new Text(value));
    }

    private static string LossOf(BlockLossStatus? loss) => loss is null
        ? "nothing"
        : $"by {loss.Codec}: keys {CodingView.Error(loss.Keys)}, values {CodingView.Error(loss.Values)}, outputs {CodingView.Error(loss.Outputs)}";
}
