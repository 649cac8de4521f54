using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh purge</c>: everything of a tenant, a model or a revision, in constant time.</summary>
internal static class PurgeCommand
{
    public static Command Create(Terminal terminal)
    {
        var tenant = new Option<string>("--tenant") { Description = "Owner of the blocks. Default: your token's tenant.", HelpName = "name" };
        var model = new Option<string>("--model") { Description = "Only blocks of this model. Default: all.", HelpName = "name" };
        var revision = new Option<string>("--revision") { Description = "Only blocks of this revision of the model. Default: all.", HelpName = "name" };
        var all = new Option<bool>("--all") { Description = "Purge everything of the tenant; needed when no model is given." };
        var connection = new AdminConnection();
        var json = CliOption.Json();
        var command = new Command("purge", "Remove every block of a tenant, a model or a revision at once, in constant time.")
        {
            tenant, model, revision, all,
        };
        connection.AddTo(command);
        command.Add(json);
        command.Validators.Add(result =>
        {
            if (result.GetValue(revision) is not null && result.GetValue(model) is null)
            {
                result.AddError("--revision needs --model.");
            }

            if (result.GetValue(model) is null && !result.GetValue(all))
            {
                result.AddError("Without --model everything of the tenant goes; say --all to mean it.");
            }
        });
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            var request = new PurgeRequest(parse.GetValue(tenant), parse.GetValue(model), parse.GetValue(revision));
            var result = await admin.PurgeAsync(request, cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(result, AdminJson.Default.PurgeResult);
            }
            else
            {
                await terminal.Out.WriteLineAsync($"removed {Formats.Count(result.RemovedBlocks)} blocks of tenant {result.Tenant}");
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh purge --model llama-3-8b --revision 2024-05       one revision, after new weights",
            "kvmesh purge --tenant search --all                      everything of a tenant");
    }
}
