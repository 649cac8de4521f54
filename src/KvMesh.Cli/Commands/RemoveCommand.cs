using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Client;
using KvMesh.Gateway.Access;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh rm</c>: keys go, at once.</summary>
internal static class RemoveCommand
{
    public static Command Create(Terminal terminal)
    {
        var keys = new Argument<string[]>("key") { Description = "Keys: text, or bytes as hex:00ff.", Arity = ArgumentArity.OneOrMore };
        var connection = new NodeConnection();
        var json = CliOption.Json();
        var command = new Command("rm", "Remove keys at once. Exit code 4 when one of them had no value.") { keys };
        connection.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            var names = parse.GetRequiredValue(keys);
            var keyBytes = names.Select(KeyArgument.Parse).ToArray();
            await using var client = await connection.ConnectAsync(parse, AccessRights.Remove, cancellationToken);
            List<string> missing = [];
            for (var i = 0; i < names.Length; i++)
            {
                if (!await client.RemoveKeyAsync(keyBytes[i], cancellationToken))
                {
                    await CheckAnswersAsync(client, names[i], cancellationToken);
                    missing.Add(names[i]);
                    await terminal.Error.WriteLineAsync($"kvmesh: no value for {names[i]}");
                }
            }

            if (parse.GetValue(json))
            {
                terminal.WriteJson(new RemoveReport(names.Length - missing.Count, missing), CliJson.Default.RemoveReport);
            }

            return (int)(missing.Count == 0 ? ExitCode.Success : ExitCode.NotFound);
        });
        return command.WithExamples(
            "kvmesh rm prompts/system prompts/user", "A key is on the node that it was put on; rm at another node of a mesh removes it there too, within seconds.");
    }

    /// <summary>A key that was not removed had no value, unless the node was lost meanwhile.</summary>
    private static async Task CheckAnswersAsync(KvMeshClient client, string name, CancellationToken cancellationToken)
    {
        if (await client.PingAsync(cancellationToken) is null)
        {
            throw new CommandException(ExitCode.NodeUnreachable, $"the node did not answer: whether {name} was removed is not known");
        }
    }
}

/// <summary>What became of keys that were to go.</summary>
internal sealed record RemoveReport(int Removed, IReadOnlyList<string> Missing);
