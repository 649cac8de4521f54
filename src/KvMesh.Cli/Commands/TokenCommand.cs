using System.CommandLine;
using System.Security.Cryptography;
using System.Text;
using KvMesh.Cli.Output;
using KvMesh.Cli.Parsing;
using KvMesh.Gateway.Access;

namespace KvMesh.Cli.Commands;

/// <summary><c>kvmesh token</c>: a new credential for a tenant.</summary>
internal static class TokenCommand
{
    private const int TokenBytes = 24;

    public static Command Create(Terminal terminal)
    {
        var tenant = new Option<string>("--tenant") { Description = "Tenant that the token acts for.", HelpName = "name", DefaultValueFactory = _ => "default" };
        var rights = new Option<string>("--rights")
        {
            Description = "What it allows: read, write, remove, admin and peer, separated by commas; or all, which is all but peer: that is for other nodes.",
            HelpName = "rights",
            DefaultValueFactory = _ => "read,write",
        };
        var note = new Option<string>("--note") { Description = "What it is for; kept in the file.", HelpName = "text", DefaultValueFactory = _ => "" };
        var file = new Option<string>("--file") { Description = "Token file to add it to, made when missing. Default: print the entry.", HelpName = "file" };
        var json = CliOption.Json();
        var command = new Command("token", "Make a token. It is shown once; the token file keeps only its hash.") { tenant, rights, note, file, json };
        command.SetAction(parse =>
        {
            var allowed = ParseRights(parse.GetRequiredValue(rights));
            var token = Convert.ToBase64String(RandomNumberGenerator.GetBytes(TokenBytes)).Replace('+', '-').Replace('/', '_');
            var entry = new TokenFileEntry(
                parse.GetRequiredValue(tenant), Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token))), allowed, parse.GetRequiredValue(note));
            if (parse.GetValue(file) is { } path)
            {
                if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder && !Directory.Exists(folder))
                {
                    throw new CommandException(ExitCode.Usage, $"--file is '{path}', and there is no folder {folder}.");
                }

                TokenFileEditor.Add(path, entry);
                terminal.Error.WriteLine($"kvmesh: added to {path}; a running node reads it again within seconds. The token, shown this once:");
            }
            else
            {
                terminal.Error.WriteLine($"kvmesh: entry for the token file: {TokenFileEditor.Format(entry)}");
                terminal.Error.WriteLine("kvmesh: the token, shown this once:");
            }

            if (parse.GetValue(json))
            {
                terminal.WriteJson(new TokenReport(token, entry.Tenant, allowed, parse.GetValue(file)), CliJson.Default.TokenReport);
            }
            else
            {
                terminal.Out.WriteLine(token);
            }

            return (int)ExitCode.Success;
        });
        return command.WithExamples(
            "kvmesh token --tenant search --rights read,write --file tokens.json",
            "kvmesh token --rights all --note 'operators' --file tokens.json",
            "The node uses the file named by its option Access:TokenFile.");
    }

    private static string[] ParseRights(string text)
    {
        var names = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var known = Enum.GetValues<AccessRights>().Where(right => right is not (AccessRights.None or AccessRights.All)).Select(Name).ToArray();
        if (names is ["all"])
        {
            return [.. known.Where(right => right != Name(AccessRights.Peer))];
        }

        var unknown = names.Except(known).ToArray();
        return names.Length > 0 && unknown.Length == 0
            ? names
            : throw new CommandException(ExitCode.Usage, $"--rights is '{text}'; it must be all, or some of {string.Join(", ", known)}.");
    }

    private static string Name(AccessRights right) => right.ToString().ToLowerInvariant();
}

/// <summary>What <c>token --json</c> prints.</summary>
/// <param name="Token">The token itself, which is kept nowhere.</param>
/// <param name="File">Where its hash was added; null: nowhere.</param>
internal sealed record TokenReport(string Token, string Tenant, IReadOnlyList<string> Rights, string? File);
