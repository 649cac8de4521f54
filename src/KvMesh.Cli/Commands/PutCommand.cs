using System.CommandLine;
using KvMesh.Cli.Hosting;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Client;
using KvMesh.Gateway.Access;
using KvMesh.Protocol;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh put</c>: the content of a file under a key.</summary>
internal static class PutCommand
{
    public static Command Create(Terminal terminal)
    {
        var key = KeyArgument.Create();
        var file = new Argument<FileInfo>("file") { Description = "File whose content becomes the value." };
        file.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && token.Value is var path && !File.Exists(path))
            {
                result.AddError($"file is '{path}', which {(Directory.Exists(path) ? "is a folder" : "does not exist")}; it must be a file.");
            }
        });
        var connection = new NodeConnection();
        var json = CliOption.Json();
        var command = new Command("put", "Store the content of a file under a key, at this node: the others of a mesh do not have it. An earlier value is replaced.") { key, file };
        connection.AddTo(command);
        command.Add(json);
        command.SetAction(async (parse, cancellationToken) =>
        {
            var keyBytes = KeyArgument.Parse(parse.GetRequiredValue(key));
            var content = await ReadAsync(parse.GetRequiredValue(file), cancellationToken);
            await using var client = await connection.ConnectAsync(parse, AccessRights.Write, cancellationToken);
            var status = await client.PutKeyAsync(keyBytes, content, cancellationToken);
            if (status is not (PutStatus.Stored or PutStatus.AlreadyPresent))
            {
                throw Refusal(status, content.Length);
            }

            Report(parse.GetValue(json), parse.GetRequiredValue(key), content.Length, status, terminal);
            return (int)ExitCode.Success;
        });
        return command.WithExamples("kvmesh put prompts/system weights.bin", "kvmesh put hex:00ff10 block.bin --json");
    }

    private static async Task<byte[]> ReadAsync(FileInfo file, CancellationToken cancellationToken) => file.Length switch
    {
        0 => throw new CommandException(ExitCode.Usage, $"file {file.FullName} is empty; a value has 1 to {Limits.MaxBlockBytes} bytes."),
        > Limits.MaxBlockBytes => throw new CommandException(
            ExitCode.Usage, $"file {file.FullName} has {file.Length} bytes; the limit is {Limits.MaxBlockBytes}."),
        _ => await File.ReadAllBytesAsync(file.FullName, cancellationToken),
    };

    private static CommandException Refusal(PutStatus status, int bytes) => status switch
    {
        PutStatus.Full => new CommandException(ExitCode.Failure, "the node has no room for it now: what is left is leased or another tenant's share"),
        PutStatus.TooLarge => new CommandException(ExitCode.Failure, $"the value has {bytes} bytes, more than this node accepts"),
        _ => new CommandException(ExitCode.NodeUnreachable, "the node did not answer: whether it took the value is not known"),
    };

    private static void Report(bool json, string key, int bytes, PutStatus status, Terminal terminal)
    {
        if (json)
        {
            terminal.WriteJson(new ValueReport(key, bytes, status == PutStatus.Stored), CliJson.Default.ValueReport);
        }
        else
        {
            terminal.Out.WriteLine($"{(status == PutStatus.Stored ? "stored" : "was there already")}: {key}, {Formats.Bytes(bytes)}");
        }
    }
}

/// <summary>What is known of a value after it was written or read.</summary>
/// <param name="Stored">Whether this call made it readable; null after a read.</param>
internal sealed record ValueReport(string Key, long Bytes, bool? Stored);
