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
            Description = "What it allows: read, write, remove and admin, separated by commas; or all.",
            HelpName = "rights",
            DefaultValueFactory = _ => "read,write",
        };
        var note = new Option<string>("--note") { Description = "What it is for; kept in the file.", HelpName = "text", DefaultValueFactory = _ => "" };
        var file = new Option<string>("--file") { Description = "Token file to add it to, made when missing. Default: print the entry.", HelpName = "file" };
        var command = new Command("token", "Make a token. It is shown once; the token file keeps only its hash.") { tenant, rights, note, file };
        command.SetAction(parse =>
        {
            var allowed = ParseRights(parse.GetRequiredValue(rights));
            var token = Convert.ToBase64String(RandomNumberGenerator.GetBytes(TokenBytes)).Replace('+', '-').Replace('/', '_');
            var entry = new TokenFileEntry(
                parse.GetRequiredValue(tenant), Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token))), allowed, parse.GetRequiredValue(note));
            if (parse.GetValue(file) is { } path)
            {
                TokenFileEditor.Add(path, entry);
                terminal.Error.WriteLine($"kvmesh: added to {path}; a running node reads it again within seconds. The token, shown this once:");
            }
            else
            {
                terminal.Error.WriteLine($"kvmesh: entry for the token file: {TokenFileEditor.Format(entry)}");
                terminal.Error.WriteLine("kvmesh: the token, shown this once:");
            }

            terminal.Out.WriteLine(token);
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
