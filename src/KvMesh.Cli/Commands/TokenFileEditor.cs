using System.Text;
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

/// <summary>
/// Adds entries to a token file. One that is there is written in place: it stays its owner's, since the user of the node is seldom the one who makes tokens,
/// and stays the file that a container has mounted.
/// </summary>
internal static class TokenFileEditor
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Format(TokenFileEntry entry) => ToNode(entry).ToJsonString(OneLine);

    /// <exception cref="CommandException">The file is there and is no token file, or one with comments.</exception>
    public static void Add(string path, TokenFileEntry entry)
    {
        var root = Read(path);
        if (root["tokens"] is not JsonArray tokens)
        {
            throw new CommandException(ExitCode.Failure, $"{path} must be an object with an array \"tokens\".");
        }

        tokens.Add((JsonNode)ToNode(entry));
        var content = Encoding.UTF8.GetBytes(root.ToJsonString(Readable) + "\n");
        if (!File.Exists(path))
        {
            WriteNew(path, content);
            return;
        }

        // Were this to end between the two, the new content would be beside the old file.
        var spare = $"{path}.{Environment.ProcessId}.new";
        WriteNew(spare, content);
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write))
        {
            RandomAccess.Write(file, content, 0);
            RandomAccess.SetLength(file, content.Length);
            RandomAccess.FlushToDisk(file);
        }

        File.Delete(spare);
    }

    private static void WriteNew(string path, byte[] content)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var stream = new FileStream(path, options);
        stream.Write(content);
        stream.Flush(flushToDisk: true);
    }

    private static JsonObject Read(string path)
    {
        if (!File.Exists(path))
        {
            return new JsonObject { ["tokens"] = new JsonArray() };
        }

        try
        {
            var text = File.ReadAllText(path);
            ThrowIfCommented(path, text);
            return JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { AllowTrailingCommas = true }) as JsonObject
                ?? throw new CommandException(ExitCode.Failure, $"{path} must be an object with an array \"tokens\".");
        }
        catch (JsonException e)
        {
            throw new CommandException(ExitCode.Failure, $"{path} is not JSON: {e.Message}", e);
        }
    }

    /// <summary>Comments would be lost when the file is written again.</summary>
    private static void ThrowIfCommented(string path, string text)
    {
        var reader = new Utf8JsonReader(
            Encoding.UTF8.GetBytes(text), new JsonReaderOptions { CommentHandling = JsonCommentHandling.Allow, AllowTrailingCommas = true });
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.Comment)
            {
                throw new CommandException(
                    ExitCode.Failure, $"{path} has comments, which would be lost. Run the command without --file and add the entry that it prints by hand.");
            }
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
