using System.Collections;

namespace KvMesh.Cli.Parsing;

/// <summary>Environment variables that the command itself reads. Others that begin with KVMESH_ are options of a node.</summary>
internal static class CliEnvironment
{
    public const string Token = "KVMESH_TOKEN";

    public const string Node = "KVMESH_NODE";

    public const string Endpoint = "KVMESH_ENDPOINT";

    /// <summary>The variables of this process without those of the command.</summary>
    public static Dictionary<string, string> ForNode()
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            if (entry is { Key: string name and not (Token or Node or Endpoint), Value: string value })
            {
                variables[name] = value;
            }
        }

        return variables;
    }
}
