using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Client;
using KvMesh.Gateway.Access;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh get</c>: the value of a key into a file or onto standard output.</summary>
internal static class GetCommand
{
    private const int FirstGuessBytes = 1024 * 1024;

    public static Command Create(Terminal terminal)
    {
        var key = KeyArgument.Create();
        var output = new Option<string>("--output", "-o") { Description = "File to write. Default: standard output.", HelpName = "file" };
        var connection = new NodeConnection();
        var json = CliOption.Json();
        var command = new Command("get", "Read the value of a key at the node that it was put at. Exit code 4 when there is none.") { key, output };
        connection.AddTo(command);
        command.Add(json);
        command.Validators.Add(result =>
        {
            if (result.GetValue(json) && result.GetValue(output) is null)
            {
                result.AddError("--json needs --output: standard output cannot take the value and the JSON object.");
            }
        });
        command.SetAction(async (parse, cancellationToken) =>
        {
            var name = parse.GetRequiredValue(key);
            var keyBytes = KeyArgument.Parse(name);
            await using var client = await connection.ConnectAsync(parse, AccessRights.Read, cancellationToken);
            var value = await ReadAsync(client, keyBytes, name, cancellationToken);
            await WriteAsync(value, parse.GetValue(output), terminal, cancellationToken);
            if (parse.GetValue(json))
            {
                terminal.WriteJson(new ValueReport(name, value.Length, null), CliJson.Default.ValueReport);
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples("kvmesh get prompts/system -o system.bin", "kvmesh get prompts/system | sha256sum");
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(
        KvMeshClient client, byte[] key, string name, CancellationToken cancellationToken)
    {
        var buffer = new byte[FirstGuessBytes];

        // A value that another client replaces between two tries may have grown once more.
        for (var tries = 0; tries < 4; tries++)
        {
            var (status, bytes) = await client.GetKeyAsync(key, buffer, cancellationToken);
            switch (status)
            {
                case GetStatus.Hit:
                    return buffer.AsMemory(0, bytes);
                case GetStatus.TooSmall:
                    buffer = new byte[bytes];
                    break;
                case GetStatus.Miss:
                    throw new CommandException(ExitCode.NotFound, $"no value for {name}");
                default:
                    throw new CommandException(ExitCode.NodeUnreachable, "the node did not answer");
            }
        }

        throw new CommandException(ExitCode.Failure, $"the value of {name} grew at every try");
    }

    private static async Task WriteAsync(ReadOnlyMemory<byte> value, string? output, Terminal terminal, CancellationToken cancellationToken)
    {
        await using var stream = output is null ? terminal.OpenOut() : File.Create(output);
        await stream.WriteAsync(value, cancellationToken);
    }
}
