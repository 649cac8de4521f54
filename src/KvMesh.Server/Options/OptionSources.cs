using System.Text.Json;
using System.Text.RegularExpressions;

namespace KvMesh.Server.Options;

/// <summary>Reads options as text from where operators write them.</summary>
internal static partial class OptionSources
{
    public const string EnvironmentPrefix = "KVMESH_";

    /// <summary>Variables with the prefix that are for clients and tests, not for a node.</summary>
    private static readonly string[] ForeignVariables = ["KVMESH_NODE", "KVMESH_TOKEN", "KVMESH_ENDPOINT", "KVMESH_TEST_"];

    /// <summary>
    /// What Kubernetes puts into every container for services named "kvmesh" and "kvmesh-…": addresses of others. No option is spelt like that, since their
    /// parts are joined by two underscores.
    /// </summary>
    [GeneratedRegex("^KVMESH(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT(_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)$")]
    private static partial Regex ServiceLink();

    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    public static void AddFile(OptionSection root, string path, List<string> errors)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), Lenient);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                AddJson(root, "", document.RootElement, $"file {path}", errors);
            }
            else
            {
                errors.Add($"The configuration file {path} must hold one object.");
            }
        }
        catch (JsonException exception)
        {
            errors.Add($"The configuration file {path} is not JSON: {exception.Message}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            errors.Add($"The configuration file cannot be read: {exception.Message}");
        }
    }

    /// <summary>KVMESH_ENGINE__ARENA_BYTES is Engine:ArenaBytes: two underscores part names, single ones are left out.</summary>
    public static void AddEnvironment(OptionSection root, IReadOnlyDictionary<string, string> environment)
    {
        foreach (var (name, value) in environment)
        {
            if (name.StartsWith(EnvironmentPrefix, StringComparison.Ordinal)
                && !ServiceLink().IsMatch(name)
                && !ForeignVariables.Any(foreign => name == foreign || (foreign[^1] == '_' && name.StartsWith(foreign, StringComparison.Ordinal))))
            {
                var path = name[EnvironmentPrefix.Length..].Replace("__", ":", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal);
                root.Set(path, value, $"environment {name}");
            }
        }
    }

    public static void AddOverrides(OptionSection root, IReadOnlyDictionary<string, string> overrides)
    {
        foreach (var (name, value) in overrides)
        {
            root.Set(name, value, "command line");
        }
    }

    private static void AddJson(OptionSection root, string path, JsonElement element, string source, List<string> errors)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
                foreach (var field in element.EnumerateObject())
                {
                    var name = path.Length == 0 ? field.Name : $"{path}:{field.Name}";
                    if (!seen.Add(field.Name))
                    {
                        errors.Add($"{name} is there twice ({source}).");
                    }

                    AddJson(root, name, field.Value, source, errors);
                }

                break;
            case JsonValueKind.Array:
                var index = 0;
                foreach (var item in element.EnumerateArray())
                {
                    AddJson(root, $"{path}:{index++}", item, source, errors);
                }

                break;
            case JsonValueKind.Null:
                errors.Add($"{path} is null ({source}); leave it out to get its default.");
                break;
            default:
                root.Set(path, element.ToString(), source);
                break;
        }
    }
}
