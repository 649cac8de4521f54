using System.Text.Json;

namespace KvMesh.Worker.Front;

/// <summary>Reads fields of a JSON object and remembers the first that is wrong. A field that is null counts as left out, as OpenAI has it.</summary>
/// <param name="body">The object.</param>
/// <param name="prefix">What stands before names in refusals.</param>
internal sealed class BodyFields(JsonElement body, string prefix = "")
{
    public FieldFault? Fault { get; private set; }

    /// <summary>A text of whole UTF-16, or null for anything else.</summary>
    public static string? TextOf(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            return null;
        }

        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // An escape of half a surrogate pair is JSON and no text.
            return null;
        }
    }

    public void Refuse(string field, string? value, string limit, string? code = null) => Fault ??= new FieldFault(prefix + field, value, limit, code);

    public void Take(FieldFault? fault) => Fault ??= fault;

    public void RefuseUnknown(IReadOnlySet<string> known)
    {
        foreach (var field in body.EnumerateObject())
        {
            if (!known.Contains(field.Name))
            {
                Refuse(field.Name, field.Value.GetRawText(), $"known are {string.Join(", ", known)}");
            }
        }
    }

    public void RefuseUnknown(string[] known) => RefuseUnknown(known.ToHashSet());

    public bool TryGet(string name, out JsonElement value) => body.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    public string? Text(string name)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        if (TextOf(value) is { } text)
        {
            return text;
        }

        Refuse(name, value.GetRawText(), "it must be a text");
        return null;
    }

    public bool Flag(string name)
    {
        if (TryGet(name, out var value) && value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            Refuse(name, value.GetRawText(), "it must be true or false");
        }

        return value.ValueKind == JsonValueKind.True;
    }

    public long? Integer(string name, long lowest, long highest)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number >= lowest && number <= highest)
        {
            return number;
        }

        Refuse(name, value.GetRawText(), $"it must be a whole number from {lowest} to {highest}");
        return null;
    }

    public double Real(string name, double lowest, double highest, double whenAbsent)
    {
        if (!TryGet(name, out var value))
        {
            return whenAbsent;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= lowest && number <= highest)
        {
            return number;
        }

        Refuse(name, value.GetRawText(), lowest is float.Epsilon ? $"it must be a number above 0 and at most {highest}" : $"it must be a number from {lowest} to {highest}");
        return whenAbsent;
    }
}
