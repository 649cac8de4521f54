using System.Text;
using System.Text.Json;
using KvMesh.Protocol;

namespace KvMesh.Gateway.Access;

/// <summary>
/// Reads the token file:
/// <c>{ "tokens": [ { "tenant": "…", "sha256": "64 hex digits", "rights": ["read", "write", "remove", "admin", "peer"], "note": "…" } ] }</c>.
/// It holds hashes only, so that a copy of it opens nothing.
/// </summary>
public static class TokenFile
{
    /// <summary>Largest token file: 4,096 entries with room for notes.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>Most entries: every one is compared at every authentication.</summary>
    public const int MaxTokens = 4096;

    private const int MaxNameCharacters = 64;

    private const int MaxShownCharacters = 40;

    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
    private static readonly string[] RequiredFields = ["tenant", "sha256", "rights"];

    /// <summary>Reads and checks the whole file.</summary>
    /// <exception cref="TokenFileException">It cannot be read or is wrong; the message names every fault.</exception>
    public static IReadOnlyList<TokenEntry> Read(string path)
    {
        try
        {
            var info = new FileInfo(path);
            if (info.Exists && info.Length > MaxBytes)
            {
                throw new TokenFileException($"{path} has {info.Length} bytes; the limit is {MaxBytes}.");
            }

            return Parse(File.ReadAllBytes(path), path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new TokenFileException($"The token file cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>Whether users other than the owner may read or change the file.</summary>
    public static bool IsOpenToOthers(string path) =>
        !OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & (UnixFileMode)0b000_111_111) != 0;

    internal static IReadOnlyList<TokenEntry> Parse(ReadOnlyMemory<byte> content, string path)
    {
        try
        {
            using var document = JsonDocument.Parse(content, Lenient);
            return Parse(document.RootElement, path);
        }
        catch (JsonException exception)
        {
            // Its message may hold the rest of the file, so only the place is told.
            throw new TokenFileException($"{path} is not JSON: see line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}.");
        }
        catch (InvalidOperationException)
        {
            throw new TokenFileException($"{path} is not JSON: a text in it is not UTF-8.");
        }
    }

    private static List<TokenEntry> Parse(JsonElement root, string path)
    {
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("tokens", out var tokens)
            || tokens.ValueKind != JsonValueKind.Array)
        {
            throw new TokenFileException($"{path} must be an object with an array \"tokens\".");
        }

        var count = tokens.GetArrayLength();
        if (count is 0 or > MaxTokens)
        {
            throw new TokenFileException($"{path}: tokens has {count} entries; 1 to {MaxTokens} are accepted.");
        }

        var faults = new List<string>();
        faults.AddRange(root.EnumerateObject().Where(field => field.Name != "tokens").Select(field => $"{Cut(field.Name)} is unknown"));
        var entries = new List<TokenEntry>(count);
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        var index = 0;
        foreach (var token in tokens.EnumerateArray())
        {
            var faultsBefore = faults.Count;
            var entry = ParseEntry(token, $"tokens[{index}]", faults);
            if (faults.Count == faultsBefore && !seen.TryAdd(Convert.ToHexStringLower(entry.Hash), index))
            {
                faults.Add($"tokens[{index}].sha256 is the same as tokens[{seen[Convert.ToHexStringLower(entry.Hash)]}].sha256");
            }

            entries.Add(entry);
            index++;
        }

        return faults.Count == 0 ? entries : throw new TokenFileException($"{path}: {string.Join("; ", faults)}.");
    }

    private static TokenEntry ParseEntry(JsonElement element, string name, List<string> faults)
    {
        var tenant = "";
        var hash = new byte[32];
        var rights = AccessRights.None;
        var note = "";
        var given = new HashSet<string>(StringComparer.Ordinal);
        if (element.ValueKind != JsonValueKind.Object)
        {
            faults.Add($"{name} is not an object");
            return new TokenEntry(tenant, hash, rights);
        }

        foreach (var field in element.EnumerateObject())
        {
            given.Add(field.Name);
            switch (field.Name)
            {
                case "tenant":
                    tenant = ParseTenant(field.Value, name, faults);
                    break;
                case "sha256":
                    ParseHash(field.Value, hash, name, faults);
                    break;
                case "rights":
                    rights = ParseRights(field.Value, name, faults);
                    break;
                case "note":
                    note = ParseNote(field.Value);
                    break;
                default:
                    faults.Add($"{name}.{Cut(field.Name)} is unknown");
                    break;
            }
        }

        faults.AddRange(RequiredFields.Where(field => !given.Contains(field)).Select(field => $"{name}.{field} is missing"));
        return new TokenEntry(tenant, hash, rights, note);
    }

    private static string ParseTenant(JsonElement value, string name, List<string> faults)
    {
        var tenant = value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        if (Encoding.UTF8.GetByteCount(tenant) is 0 or > Limits.MaxTenantBytes)
        {
            faults.Add($"{name}.tenant is {Shown(value)}; it must be text of 1 to {Limits.MaxTenantBytes} bytes");
        }

        return tenant;
    }

    /// <summary>A note is the operator's own, so that nothing in it is a fault; what names somebody in a log is one short line.</summary>
    private static string ParseNote(JsonElement value)
    {
        var note = value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        return string.Concat(note.Where(character => !char.IsControl(character)).Take(MaxNameCharacters)).Trim();
    }

    private static void ParseHash(JsonElement value, byte[] hash, string name, List<string> faults)
    {
        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        if (text.Length != 64 || Convert.FromHexString(text, hash, out _, out _) != System.Buffers.OperationStatus.Done)
        {
            // The value is not shown: someone may have put the token itself here.
            faults.Add($"{name}.sha256 has {text.Length} characters or other than hex digits; it must be 64 hex digits");
        }
    }

    private static AccessRights ParseRights(JsonElement value, string name, List<string> faults)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
        {
            faults.Add($"{name}.rights is {Shown(value)}; it must be an array of read, write, remove, admin, peer");
            return AccessRights.None;
        }

        var rights = AccessRights.None;
        foreach (var item in value.EnumerateArray())
        {
            var right = item.ValueKind == JsonValueKind.String ? RightOf(item.GetString()!) : AccessRights.None;
            if (right == AccessRights.None)
            {
                faults.Add($"{name}.rights has {Shown(item)}; known are read, write, remove, admin, peer");
            }

            rights |= right;
        }

        return rights;
    }

    /// <summary>A value for a message: short, and never so much of the file that a hash or a token is in it by mistake.</summary>
    private static string Shown(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        _ => Cut(value.GetRawText()),
    };

    private static string Cut(string text) => text.Length <= MaxShownCharacters ? text : text[..MaxShownCharacters] + "…";

    private static AccessRights RightOf(string name) => name switch
    {
        "read" => AccessRights.Read,
        "write" => AccessRights.Write,
        "remove" => AccessRights.Remove,
        "admin" => AccessRights.Admin,
        "peer" => AccessRights.Peer,
        _ => AccessRights.None,
    };
}

/// <summary>The token file cannot be used; the message names every fault and no secret.</summary>
public sealed class TokenFileException : Exception
{
    public TokenFileException()
    {
    }

    public TokenFileException(string message)
        : base(message)
    {
    }

    public TokenFileException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
