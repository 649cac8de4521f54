using System.Globalization;
using KvMesh.Cli.Parsing;

namespace KvMesh.Cli.Local;

/// <summary>What a mesh on one machine shall be.</summary>
/// <param name="Redis">Where the nodes meet; null: a server of their own.</param>
/// <param name="Port">First HTTP port; 0: any free ones.</param>
/// <param name="ArenaBytes">Of all nodes together; 0: a quarter of the machine's memory.</param>
internal sealed record LocalMeshOptions(int Nodes, string? Redis, string Folder, int Port, long ArenaBytes);

/// <summary>Nodes as processes of their own, and a redis-server for them if none is given. Disposing it stops them all.</summary>
internal sealed class LocalMesh : IAsyncDisposable
{
    private const int PortsPerNode = 10;

    private readonly List<LocalProcess> _processes = [];
    private readonly List<LocalNodeReport> _nodes = [];
    private LocalRedis? _ownRedis;

    private LocalMesh(string folder) => Folder = folder;

    public string Folder { get; }

    public string Redis { get; private set; } = "";

    public IReadOnlyList<LocalNodeReport> Nodes => _nodes;

    /// <summary>Completes when no node is left.</summary>
    public Task AllEnded => Task.WhenAll(_processes.Select(process => process.Ended));

    public static string DefaultFolder() => Path.Combine(
        Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } state
            ? state
            : Path.Combine(Environment.GetEnvironmentVariable("HOME") ?? Path.GetTempPath(), ".local", "state"),
        "kvmesh", "up");

    public static async Task<LocalMesh> StartAsync(LocalMeshOptions options, TextWriter log, CancellationToken cancellationToken)
    {
        var mesh = new LocalMesh(Path.GetFullPath(options.Folder));
        try
        {
            Directory.CreateDirectory(mesh.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            mesh._ownRedis = options.Redis is null ? await LocalRedis.StartAsync(mesh.Folder, log, cancellationToken) : null;
            mesh.Redis = options.Redis ?? mesh._ownRedis!.Address;
            await mesh.StartNodesAsync(options, log, cancellationToken);
            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        // All at once: each saves its blocks, and none needs the others for it.
        await Task.WhenAll(_processes.Select(process => process.DisposeAsync().AsTask()));
        if (_ownRedis is not null)
        {
            await _ownRedis.DisposeAsync();
        }
    }

    private async Task StartNodesAsync(LocalMeshOptions options, TextWriter log, CancellationToken cancellationToken)
    {
        var environment = CliEnvironment.ForNode();
        var arena = options.ArenaBytes > 0 ? options.ArenaBytes : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;
        var starts = new List<(string Id, LocalProcess Process)>();
        for (var i = 0; i < options.Nodes; i++)
        {
            var id = $"n{i + 1}";
            var process = LocalProcess.Start(id, OwnProgram.Command([.. Arguments(options, id, i, Math.Max(1 << 20, arena / options.Nodes))]), Settings(id), log);
            _processes.Add(process);
            starts.Add((id, process));
        }

        foreach (var (id, process) in starts)
        {
            _nodes.Add(LocalNodeReport.Parse(id, await process.FirstLineAsync(cancellationToken)));
        }

        Dictionary<string, string> Settings(string id) => new()
        {
            ["KVMESH_Mesh__Redis"] = Redis,
            ["KVMESH_NodeId"] = id,
            ["KVMESH_Mesh__Cluster"] = environment.GetValueOrDefault("KVMESH_Mesh__Cluster", "local"),
        };
    }

    private IEnumerable<string> Arguments(LocalMeshOptions options, string id, int index, long arenaBytes)
    {
        string[] doors = ["--http", "--native", "--resp"];
        string[] fixedPart =
        [
            "serve", "--json", "--until-stdin-ends", "--data-dir", Path.Combine(Folder, id), "--arena", arenaBytes.ToString(CultureInfo.InvariantCulture),
        ];
        return fixedPart.Concat(doors.SelectMany((door, offset) => new[]
        {
            door, $"127.0.0.1:{(options.Port == 0 ? 0 : options.Port + (index * PortsPerNode) + offset)}",
        }));
    }
}
