using System.Reflection;
using KvMesh.Protocol.Admin;

namespace KvMesh.Server.Options;

/// <summary>Reads options from the configuration file, the environment and the command line; the later one wins.</summary>
public static class NodeOptionsReader
{
    /// <summary>Name of the configuration file in the data directory.</summary>
    public const string FileName = "kvmesh.json";

    private const string MaskedValue = "(set)";

    /// <summary>Reads and checks everything.</summary>
    /// <param name="configFile">Path given by the operator, which must exist; null: <c>kvmesh.json</c> in the data directory if there is one.</param>
    /// <param name="environment">Variables of the process; those that begin with <c>KVMESH_</c> count.</param>
    /// <param name="overrides">Full option names from the command line, such as <c>Engine:ArenaBytes</c>, and their values.</param>
    /// <exception cref="NodeOptionsException">Something is unknown, out of range or contradictory; it names everything at once.</exception>
    public static NodeConfiguration Read(
        string? configFile, IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string> overrides)
    {
        // What says where the data directory is, is needed to find the file; the file may be overruled by both.
        var outer = new OptionSection();
        OptionSources.AddEnvironment(outer, environment);
        OptionSources.AddOverrides(outer, overrides);
        var directory = outer.Find(nameof(NodeOptions.DataDirectory)) is { Length: > 0 } given ? given : DefaultDataDirectory(environment);

        var errors = new List<string>();
        var root = new OptionSection();
        var found = configFile ?? Path.Combine(directory, FileName);
        if (configFile is not null || File.Exists(found))
        {
            OptionSources.AddFile(root, found, errors);
        }

        if (configFile is null && root.Find(nameof(NodeOptions.DataDirectory)) is { } inFile && Path.GetFullPath(inFile) != Path.GetFullPath(directory))
        {
            errors.Add($"DataDirectory is \"{inFile}\" in {found}, a file of the data directory {directory}; leave it out there.");
        }

        OptionSources.AddEnvironment(root, environment);
        OptionSources.AddOverrides(root, overrides);

        var options = new NodeOptions();
        var binder = new OptionBinder(errors);
        binder.Bind(options, root);
        Complete(options, environment);
        errors.AddRange(NodeOptionsRules.Check(options));
        return errors.Count == 0 ? new NodeConfiguration(options, Describe(options, binder.Sources)) : throw new NodeOptionsException(errors);
    }

    /// <summary>Checks options that a program filled itself, and completes them.</summary>
    /// <exception cref="NodeOptionsException">Something is out of range or contradictory; it names everything at once.</exception>
    public static NodeConfiguration Check(NodeOptions options)
    {
        Complete(options, new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["XDG_STATE_HOME"] = Environment.GetEnvironmentVariable("XDG_STATE_HOME") ?? "",
            ["HOME"] = Environment.GetEnvironmentVariable("HOME") ?? "",
        });
        var errors = NodeOptionsRules.Check(options);
        return errors.Count == 0 ? new NodeConfiguration(options, Describe(options, null)) : throw new NodeOptionsException(errors);
    }

    private static void Complete(NodeOptions options, IReadOnlyDictionary<string, string> environment)
    {
        options.DataDirectory = Path.GetFullPath(options.DataDirectory.Length > 0 ? options.DataDirectory : DefaultDataDirectory(environment));
        options.Engine.DataDirectory = options.DataDirectory;
        if (options.Engine.Disk.Directory.Length == 0)
        {
            options.Engine.Disk.Directory = Path.Combine(options.DataDirectory, "disk");
        }

        if (options.Unix.Path.Length == 0)
        {
            options.Unix.Path = Path.Combine(options.DataDirectory, "native.sock");
        }

        if (options.NodeId.Length == 0)
        {
            var digits = System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(options.DataDirectory));
            options.NodeId = $"{Environment.MachineName}-{Convert.ToHexStringLower(digits.AsSpan(0, 2))}";
        }

        if (options.Mesh.NodeId.Length == 0)
        {
            options.Mesh.NodeId = MeshNodeId(options.NodeId);
        }
    }

    /// <summary>The node's name in the letters of a name in a cluster.</summary>
    private static string MeshNodeId(string nodeId)
    {
        var letters = nodeId.ToLowerInvariant().Select(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter is '.' or '_' ? letter : '-');
        return string.Concat(letters).TrimStart('.', '-', '_');
    }

    private static string DefaultDataDirectory(IReadOnlyDictionary<string, string> environment)
    {
        if (environment.GetValueOrDefault("XDG_STATE_HOME") is { Length: > 0 } state)
        {
            return Path.Combine(state, "kvmesh");
        }

        var home = environment.GetValueOrDefault("HOME") is { Length: > 0 } known ? known : Path.GetTempPath();
        return Path.Combine(home, ".local", "state", "kvmesh");
    }

    /// <param name="sources">Where options came from; null when a program set them.</param>
    private static List<ConfigurationEntry> Describe(NodeOptions options, IReadOnlyDictionary<string, string>? sources)
    {
        var defaults = OptionBinder.Leaves(new NodeOptions()).ToDictionary(leaf => leaf.Name, leaf => OptionValues.Format(leaf.Property.GetValue(leaf.Owner)));
        var entries = new List<ConfigurationEntry>();
        foreach (var (name, property, owner) in OptionBinder.Leaves(options))
        {
            var value = OptionValues.Format(property.GetValue(owner));
            var isDefault = value == defaults.GetValueOrDefault(name);
            var source = sources is not null ? sources.GetValueOrDefault(name, "default") : isDefault ? "default" : "program";
            var isSecret = property.GetCustomAttribute<SecretAttribute>() is not null && value.Length > 0;
            entries.Add(new ConfigurationEntry(name, isSecret ? MaskedValue : value, defaults.GetValueOrDefault(name, ""), source));
        }

        return entries;
    }
}
