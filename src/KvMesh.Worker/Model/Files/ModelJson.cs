using System.Text.Json;

namespace KvMesh.Worker.Model.Files;

/// <summary>Reads the JSON files of a model; whatever is not as it should be is a <see cref="ModelFileException"/> that names the field.</summary>
internal static class ModelJson
{
    /// <summary>Longest file: several times the largest tokenizer known.</summary>
    public const long MaxBytes = 256L << 20;

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    public static JsonDocument Read(string file)
    {
        try
        {
            using var stream = File.OpenRead(file);
            if (stream.Length > MaxBytes)
            {
                throw new ModelFileException(file, $"the file has {stream.Length} bytes; the limit is {MaxBytes}.");
            }

            var document = JsonDocument.Parse(stream, Options);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return document;
            }

            document.Dispose();
            throw new ModelFileException(file, "must be a JSON object.");
        }
        catch (JsonException e)
        {
            throw new ModelFileException(file, $"is no JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(file, $"cannot be read: {e.Message}", e);
        }
    }

    /// <summary>A member that is there and not null.</summary>
    public static bool TryGet(JsonElement parent, string name, out JsonElement value)
    {
        value = default;
        return parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;
    }

    /// <summary>A member that must be there.</summary>
    public static JsonElement Require(string file, JsonElement parent, string name) =>
        TryGet(parent, name, out var value) ? value : throw new ModelFileException(file, $"'{name}' is missing.");

    /// <summary>The members of an object that must be there.</summary>
    public static IEnumerable<(string Name, JsonElement Value)> Members(string file, JsonElement parent, string name)
    {
        var value = Require(file, parent, name);
        return value.ValueKind == JsonValueKind.Object
            ? value.EnumerateObject().Select(member => (NameOf(file, name, member), member.Value))
            : throw new ModelFileException(file, $"'{name}' must be an object, not a {value.ValueKind}.");
    }

    /// <summary>The elements of an array that must be there.</summary>
    public static JsonElement.ArrayEnumerator Items(string file, JsonElement parent, string name)
    {
        var value = Require(file, parent, name);
        return value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw new ModelFileException(file, $"'{name}' must be an array, not a {value.ValueKind}.");
    }

    public static int Integer(string file, JsonElement parent, string name, int least, int most, int? otherwise = null)
    {
        if (!TryGet(parent, name, out var value))
        {
            return otherwise ?? throw new ModelFileException(file, $"'{name}' is missing; it must be from {least} to {most}.");
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= least && number <= most
            ? number
            : throw new ModelFileException(file, $"'{name}' is {Short(value)}; it must be a whole number from {least} to {most}.");
    }

    public static double Number(string file, JsonElement parent, string name, double least, double most, double? otherwise = null)
    {
        if (!TryGet(parent, name, out var value))
        {
            return otherwise ?? throw new ModelFileException(file, $"'{name}' is missing; it must be from {least} to {most}.");
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= least && number <= most
            ? number
            : throw new ModelFileException(file, $"'{name}' is {Short(value)}; it must be a number from {least} to {most}.");
    }

    public static bool Flag(string file, JsonElement parent, string name, bool otherwise)
    {
        if (!TryGet(parent, name, out var value))
        {
            return otherwise;
        }

        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : throw new ModelFileException(file, $"'{name}' is {Short(value)}; it must be true or false.");
    }

    public static string Text(string file, JsonElement parent, string name, string? otherwise = null)
    {
        if (!TryGet(parent, name, out var value))
        {
            return otherwise ?? throw new ModelFileException(file, $"'{name}' is missing; it must be a string.");
        }

        return value.ValueKind == JsonValueKind.String ? TextOf(file, name, value) : throw new ModelFileException(file, $"'{name}' is {Short(value)}; it must be a string.");
    }

    /// <summary>A string, which JSON may have written with half a surrogate pair.</summary>
    public static string TextOf(string file, string name, JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFileException(file, $"'{name}' holds a string that is no Unicode text.", e);
        }
    }

    /// <summary>A value for an error message, cut where it is long.</summary>
    public static string Short(JsonElement value)
    {
        var text = value.GetRawText();
        return text.Length <= 60 ? text : text[..60] + "…";
    }

    private static string NameOf(string file, string parent, JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFileException(file, $"'{parent}' holds a name that is no Unicode text.", e);
        }
    }
}
