using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace KvMesh.Cli.Commands;

/// <summary>One entry of a token file.</summary>
/// <param name="Tenant">Whom the token acts for.</param>
/// <param name="Sha256">Hash of the token, in hexadecimal.</param>
/// <param name="Rights">What it allows.</param>
/// <param name="Note">What it is for.</param>
internal sealed record TokenFileEntry(string Tenant, string Sha256, IReadOnlyList<string> Rights, string Note);

/// <summary>Adds entries to a token file. The file is replaced as a whole, so that a node never reads half of it.</summary>
internal static class TokenFileEditor
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Format(TokenFileEntry entry) => ToNode(entry).ToJsonString(OneLine);

    /// <exception cref="CommandException">The file is there and is no token file.</exception>
    public static void Add(string path, TokenFileEntry entry)
    {
        var root = Read(path);
        if (root["tokens"] is not JsonArray tokens)
        {
            throw new CommandException(ExitCode.Failure, $"{path} must be an object with an array \"tokens\".");
        }

        tokens.Add((JsonNode)ToNode(entry));
        var temporary = $"{path}.{Environment.ProcessId}.new";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var stream = new StreamWriter(temporary, options))
        {
            stream.WriteLine(root.ToJsonString(Readable));
        }

        File.Move(temporary, path, overwrite: true);
    }

    private static JsonObject Read(string path)
    {
        if (!File.Exists(path))
        {
            return new JsonObject { ["tokens"] = new JsonArray() };
        }

        try
        {
            var options = new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
            return JsonNode.Parse(File.ReadAllText(path), documentOptions: options) as JsonObject
                ?? throw new CommandException(ExitCode.Failure, $"{path} must be an object with an array \"tokens\".");
        }
        catch (JsonException e)
        {
            throw new CommandException(ExitCode.Failure, $"{path} is not JSON: {e.Message}", e);
        }
    }

    private static JsonObject ToNode(TokenFileEntry entry)
    {
        var node = new JsonObject
        {
            ["tenant"] = entry.Tenant,
            ["sha256"] = entry.Sha256,
            ["rights"] = new JsonArray([.. entry.Rights.Select(right => (JsonNode)right)]),
        };
        if (entry.Note.Length > 0)
        {
            node["note"] = entry.Note;
        }

        return node;
    }
}
