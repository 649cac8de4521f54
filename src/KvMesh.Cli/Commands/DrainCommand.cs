using System.CommandLine;
using System.Net;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Client.Admin;
using KvMesh.Protocol.Admin;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh drain</c>: a node hands its blocks to others before it leaves.</summary>
internal static class DrainCommand
{
    public static Command Create(Terminal terminal, TimeProvider time)
    {
        var name = new Argument<string>("node") { Description = "Id of the node, as 'kvmesh nodes' lists it." };
        var undo = new Option<bool>("--undo") { Description = "Take a drain back: others may hand blocks to the node again. Its clients' writes it takes all the time." };
        var status = new Option<bool>("--status") { Description = "Only say how far it is; begin nothing." };
        var wait = new Option<bool>("--wait") { Description = "Wait until every block that others should have is verified to be with them." };
        var limit = CliOption.Number("--timeout", "Seconds to wait at most; 0: as long as it takes. The drain itself goes on.", 0, 604_800, 0);
        var json = CliOption.Json();
        var connection = new AdminConnection();
        var command = new Command("drain", "Have a node hand its blocks to others before it leaves. It goes on serving meanwhile, reads and writes.") { name, undo, status, wait, limit };
        connection.AddTo(command);
        command.Add(json);
        command.Validators.Add(result =>
        {
            if (result.GetValue(undo) && (result.GetValue(wait) || result.GetValue(status)))
            {
                result.AddError("--undo takes the drain back at once; --wait and --status have nothing to do with it.");
            }

            if (result.GetResult(limit) is { Implicit: false } && !result.GetValue(wait))
            {
                result.AddError("--timeout limits --wait, which was not given.");
            }
        });
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var admin = connection.Create(parse);
            var id = parse.GetRequiredValue(name);
            var result = parse.GetValue(undo) ? await UndoAsync(admin, id, cancellationToken)
                : await OrNotFoundAsync(id, parse.GetValue(status) ? admin.GetDrainAsync(id, cancellationToken) : admin.DrainNodeAsync(id, cancellationToken));
            if (parse.GetValue(wait))
            {
                result = await new DrainProgress(admin, terminal, time).WaitAsync(result, TimeSpan.FromSeconds(parse.GetValue(limit)), cancellationToken);
            }

            Print(result, parse.GetValue(json), terminal);
            return (int)(parse.GetValue(wait) && result.State != DrainProgress.Drained ? ExitCode.Failure : ExitCode.Success);
        });
        return command.WithExamples(
            "kvmesh drain gpu-3 --wait                  hand everything over, then: systemctl stop kvmesh",
            "kvmesh drain gpu-3 --status                how far it is",
            "kvmesh drain gpu-3 --undo                  it stays after all",
            "kvmesh drain gpu-3 --wait --timeout 600    exit code 1 if it takes longer; the drain goes on",
            "A drained node still serves what it has. Stop it, or take the drain back.");
    }

    private static async Task<DrainStatus> UndoAsync(AdminClient admin, string id, CancellationToken cancellationToken)
    {
        if (!await admin.UndrainNodeAsync(id, cancellationToken))
        {
            throw NotFound(id, null);
        }

        return await OrNotFoundAsync(id, admin.GetDrainAsync(id, cancellationToken));
    }

    private static async Task<DrainStatus> OrNotFoundAsync(string id, Task<DrainStatus> asked)
    {
        try
        {
            return await asked;
        }
        catch (AdminRefusedException refused) when (refused.StatusCode == HttpStatusCode.NotFound)
        {
            throw NotFound(id, refused);
        }
    }

    private static CommandException NotFound(string id, Exception? cause) =>
        new(ExitCode.NotFound, $"No member of the cluster has the id '{id}'; 'kvmesh nodes' lists them.", cause);

    private static void Print(DrainStatus status, bool json, Terminal terminal)
    {
        if (json)
        {
            terminal.WriteJson(status, AdminJson.Default.DrainStatus);
        }
        else
        {
            terminal.Out.WriteLine(DrainProgress.Describe(status));
        }
    }
}
