namespace KvMesh.LoadTest.Faults.Networks;

/// <summary>Where the nodes of a mesh and their Redis are, and the ways between them, which can be cut: what is sent there then is lost without a word.</summary>
internal abstract class MeshNetwork : IAsyncDisposable
{
    /// <summary>Redis, as a party of the network. Nodes are parties under their names.</summary>
    public const string Redis = "redis";

    /// <summary>What cuts the ways, for the table.</summary>
    public abstract string Kind { get; }

    /// <summary>
    /// A network that can cut any way: namespaces where the machine grants them, else proxies. Everything that it makes goes with it.
    /// </summary>
    /// <param name="nodes">Names of the nodes.</param>
    public static async Task<MeshNetwork> CreateAsync(IReadOnlyList<string> nodes) =>
        await NamespaceNetwork.TryCreateAsync(nodes) ?? (MeshNetwork)new LoopbackNetwork(hasFronts: true);

    /// <summary>Command behind which the program of a party runs there. Empty: it needs none.</summary>
    public abstract string[] ProgramOf(string party);

    /// <summary>IP address where a party listens, and where the workload reaches it.</summary>
    public abstract string HostOf(string party);

    /// <summary>Where a node is to look for Redis.</summary>
    /// <param name="port">Where Redis listens.</param>
    public abstract string RedisFor(string node, int port);

    /// <summary>What else the program of a node must be told, as options by name.</summary>
    /// <param name="nativePort">Where its native door listens.</param>
    public abstract IEnumerable<(string Option, string Value)> OptionsFor(string node, int nativePort);

    /// <summary>From now on nothing that one party sends reaches the other one. Connections stay open.</summary>
    public abstract Task CutAsync(string from, string to);

    /// <summary>Opens all ways again. What is sent again arrives.</summary>
    public abstract Task MendAsync();

    public abstract ValueTask DisposeAsync();
}
