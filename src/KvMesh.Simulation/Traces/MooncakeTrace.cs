using System.Globalization;
using System.Text;
using System.Text.Json;
using KvMesh.Protocol;

namespace KvMesh.Simulation.Traces;

/// <summary>
/// Reads and writes request traces in Mooncake's format: one JSON object a line with <c>timestamp</c> (ms), <c>input_length</c>,
/// <c>output_length</c> (tokens) and <c>hash_ids</c>, one id for each block of 512 tokens of the input. A <c>tenant</c> may say whose it is.
/// </summary>
public static class MooncakeTrace
{
    /// <summary>Tokens of a block in these traces.</summary>
    public const int TokensPerBlock = 512;

    private const int MaxTenantCharacters = 64;

    /// <summary>Most characters of a value that a message shows, and of what the JSON reader says, which quotes the line.</summary>
    private const int MaxValueCharacters = 40;
    private const int MaxReasonCharacters = 120;

    /// <exception cref="TraceFormatException">A line is not what the format says; the message names line and field.</exception>
    public static List<PromptRequest> Load(string path)
    {
        using var reader = File.OpenText(path);
        return Read(reader);
    }

    public static List<PromptRequest> Read(TextReader reader)
    {
        var requests = new List<PromptRequest>();
        long previous = 0;
        for (var line = 1; reader.ReadLine() is { } text; line++)
        {
            if (string.IsNullOrWhiteSpace(text))
            {
                continue;
            }

            var request = Parse(text, line);
            if (request.TimestampMs < previous)
            {
                throw new TraceFormatException(line, "timestamp", $"is {request.TimestampMs}, earlier than {previous} of the request before");
            }

            previous = request.TimestampMs;
            requests.Add(request);
        }

        return requests.Count > 0 ? requests : throw new TraceFormatException(1, "", "the trace has no requests");
    }

    /// <summary>Writes one line for each request; <see cref="Read"/> gives them back as they were.</summary>
    public static void Write(TextWriter writer, IEnumerable<PromptRequest> requests)
    {
        foreach (var request in requests)
        {
            var tenant = request.Tenant.Length == 0 ? "" : $", \"tenant\": \"{JsonEncodedText.Encode(request.Tenant)}\"";
            writer.Write($"{{\"timestamp\": {request.TimestampMs}, \"input_length\": {request.InputTokens}, \"output_length\": {request.OutputTokens}{tenant}, \"hash_ids\": [");
            for (var index = 0; index < request.BlockIds.Length; index++)
            {
                writer.Write(index == 0 ? "" : ", ");
                writer.Write(request.BlockIds.Span[index]);
            }

            writer.Write("]}\n");
        }
    }

    private static PromptRequest Parse(string text, int line)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new TraceFormatException(line, "", "is not a JSON object");
            }

            return Parse(document.RootElement, line);
        }
        catch (JsonException e)
        {
            throw new TraceFormatException(line, "", $"is not JSON at byte {e.BytePositionInLine ?? 0} ({Shown(e.Message, MaxReasonCharacters)})", e);
        }
    }

    private static PromptRequest Parse(JsonElement root, int line)
    {
        var timestamp = ReadNumber(root, "timestamp", line);
        var input = ReadNumber(root, "input_length", line);
        var output = ReadNumber(root, "output_length", line);
        var tenant = ReadTenant(root, line);
        var ids = ReadIds(root, line);
        var expected = (input + TokensPerBlock - 1) / TokensPerBlock;
        if (ids.Length != expected)
        {
            throw new TraceFormatException(
                line, "hash_ids", $"has {ids.Length} ids; an input_length of {input} needs {expected} blocks of {TokensPerBlock} tokens");
        }

        return new PromptRequest(timestamp, ids, input % TokensPerBlock == 0 ? ids.Length : ids.Length - 1)
        {
            Tenant = tenant,
            InputTokens = input,
            OutputTokens = output,
        };
    }

    private static string ReadTenant(JsonElement root, int line)
    {
        if (!root.TryGetProperty("tenant", out var value))
        {
            return "";
        }

        return value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 and <= MaxTenantCharacters } tenant
            ? tenant
            : throw new TraceFormatException(line, "tenant", $"is {Excerpt(value)}; it must be text of 1 to {MaxTenantCharacters} characters");
    }

    private static long ReadNumber(JsonElement root, string field, int line)
    {
        if (!root.TryGetProperty(field, out var value))
        {
            throw new TraceFormatException(line, field, "is missing");
        }

        // Some publications of the format write whole milliseconds as 27482.0.
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out var number) || number is < 0 or > long.MaxValue / 2)
        {
            throw new TraceFormatException(line, field, $"is {Excerpt(value)}; it must be a number of at least 0");
        }

        return (long)number;
    }

    private static ulong[] ReadIds(JsonElement root, int line)
    {
        if (!root.TryGetProperty("hash_ids", out var array))
        {
            throw new TraceFormatException(line, "hash_ids", "is missing");
        }

        if (array.ValueKind != JsonValueKind.Array)
        {
            throw new TraceFormatException(line, "hash_ids", $"is {Excerpt(array)}; it must be an array of whole numbers");
        }

        var count = array.GetArrayLength();
        if (count is 0 or > Limits.MaxBlocksPerRequest)
        {
            throw new TraceFormatException(line, "hash_ids", $"has {count} ids; it must have 1 to {Limits.MaxBlocksPerRequest}");
        }

        var ids = new ulong[count];
        var index = 0;
        foreach (var element in array.EnumerateArray())
        {
            ids[index] = element.ValueKind == JsonValueKind.Number && element.TryGetUInt64(out var id)
                ? id
                : throw new TraceFormatException(line, "hash_ids", $"[{index}] is {Excerpt(element)}; it must be a whole number of at least 0");
            index++;
        }

        return ids;
    }

    private static string Excerpt(JsonElement value) => Shown(value.GetRawText(), MaxValueCharacters);

    /// <summary>Text out of the file as a message shows it: bounded, and without characters that a terminal would obey.</summary>
    private static string Shown(string text, int maxCharacters)
    {
        var shown = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            var next = IsPlain(rune) ? rune.ToString() : $"\\u{{{rune.Value:x4}}}";
            if (shown.Length + next.Length > maxCharacters)
            {
                return shown.Append('…').ToString();
            }

            shown.Append(next);
        }

        return shown.ToString();
    }

    private static bool IsPlain(Rune rune) => Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}

/// <summary>A trace is malformed.</summary>
public sealed class TraceFormatException(int line, string field, string problem, Exception? cause = null)
    : Exception($"line {line}: {(field.Length == 0 ? "" : field + " ")}{problem}", cause)
{
    public int Line { get; } = line;

    public string Field { get; } = field;
}
