namespace KvMesh.Server.Options;

/// <summary>Reads options from the configuration file, the environment and the command line; the later one wins.</summary>
public static class NodeOptionsReader
{
    /// <summary>Reads and checks everything.</summary>
    /// <param name="configFile">Path given by the operator, which must exist; null: <c>kvmesh.json</c> in the data directory if there is one.</param>
    /// <param name="environment">Variables of the process; those that begin with <c>KVMESH_</c> count.</param>
    /// <param name="overrides">Full option names from the command line, such as <c>Engine:ArenaBytes</c>, and their values.</param>
    /// <exception cref="NodeOptionsException">Something is unknown, out of range or contradictory; it names everything at once.</exception>
    public static NodeConfiguration Read(
        string? configFile, IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string> overrides) =>
        throw new NotImplementedException();
}
