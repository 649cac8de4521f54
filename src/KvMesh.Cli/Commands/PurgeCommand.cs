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
        var wait = new Option<double>("--wait")
        {
            Description = "Longest wait for the other nodes of the cluster, in seconds; 0: none.",
            HelpName = "seconds",
            DefaultValueFactory = _ => PurgeRequest.DefaultWaitSeconds,
        };
        var connection = new AdminConnection();
        var json = CliOption.Json();
        var command = new Command("purge", "Remove every block of a tenant, a model or a revision at once, in constant time, on every node of the cluster.")
        {
            tenant, model, revision, all, wait,
        };
        connection.AddTo(command);
        command.Add(json);
        command.Validators.Add(result =>
        {
            if (result.GetValue(revision) is not null && result.GetValue(model) is null)
            {
                result.AddError("--revision needs --model.");
            }

            if (result.GetValue(wait) is < 0 or > PurgeRequest.MaxWaitSeconds)
            {
                result.AddError($"--wait is {result.GetValue(wait)}; it must be 0 to {PurgeRequest.MaxWaitSeconds} seconds.");
            }

            if (result.GetValue(model) is null && !result.GetValue(all))
            {
                result.AddError("Without --model everything of the tenant goes; say --all to mean it.");
            }
        });
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            var request = new PurgeRequest(parse.GetValue(tenant), parse.GetValue(model), parse.GetValue(revision)) { WaitSeconds = parse.GetValue(wait) };
            var result = await admin.PurgeAsync(request, cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(result, AdminJson.Default.PurgeResult);
            }
            else
            {
                await terminal.Out.WriteLineAsync($"removed {Formats.Count(result.RemovedBlocks)} blocks of tenant {result.Tenant}{Others(result)}");
            }

            return (int)(result.IsTold && result.Behind.Count == 0 ? ExitCode.Success : ExitCode.Failure);
        });
        return command.WithExamples(
            "kvmesh purge --model llama-3-8b --revision 2024-05       one revision, after new weights",
            "kvmesh purge --tenant search --all                      everything of a tenant");
    }

    /// <summary>What the other nodes have done by now. In a cluster the count is that of the asked node.</summary>
    private static string Others(PurgeResult result) => result switch
    {
        { IsTold: false } => $" on the asked node; the others cannot be told now and will be later: {result.Problem}",
        { Nodes: 1 } => "",
        { Behind.Count: 0 } => $" on the asked node, and all {result.Nodes} nodes have done the same",
        _ => $" on the asked node; {result.Nodes - result.Behind.Count} of {result.Nodes} nodes have done the same, not yet: {string.Join(", ", result.Behind)}",
    };
}
