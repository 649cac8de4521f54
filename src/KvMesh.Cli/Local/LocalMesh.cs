using System.Globalization;
using KvMesh.Cli.Parsing;

namespace KvMesh.Cli.Local;

/// <summary>What a mesh on one machine shall be.</summary>
/// <param name="Redis">Where the nodes meet; null: a server of their own.</param>
/// <param name="Port">First HTTP port; 0: any free ones.</param>
/// <param name="ArenaBytes">Of all nodes together; 0: a quarter of the machine's memory.</param>
internal sealed record LocalMeshOptions(int Nodes, string? Redis, string Folder, int Port, long ArenaBytes);

/// <summary>
/// Nodes as processes of their own, and a redis-server for them if none is given. One that dies is started again where it was. Disposing it
/// stops them all.
/// </summary>
internal sealed class LocalMesh : IAsyncDisposable
{
    private const int PortsPerNode = 10;

    private readonly List<Supervised> _processes = [];
    private readonly LocalNodeReport?[] _nodes;
    private LocalRedis? _ownRedis;

    private LocalMesh(LocalMeshOptions options)
    {
        Folder = Path.GetFullPath(options.Folder);
        _nodes = new LocalNodeReport?[options.Nodes];
    }

    public string Folder { get; }

    public string Redis { get; private set; } = "";

    public IReadOnlyList<LocalNodeReport> Nodes => [.. _nodes.OfType<LocalNodeReport>()];

    /// <summary>Completes when no node is left, and none is started again.</summary>
    public Task AllEnded => Task.WhenAll(_processes.Select(process => process.Ended));

    public static string DefaultFolder() => Path.Combine(
        Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } state
            ? state
            : Path.Combine(Environment.GetEnvironmentVariable("HOME") ?? Path.GetTempPath(), ".local", "state"),
        "kvmesh", "up");

    /// <param name="stopping">Ends the start, and from then on nothing is started again.</param>
    public static async Task<LocalMesh> StartAsync(LocalMeshOptions options, TextWriter log, TimeProvider time, CancellationToken stopping)
    {
        var mesh = new LocalMesh(options);
        try
        {
            Directory.CreateDirectory(mesh.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            await LocalRedis.CheckAsync(options.Redis, time, stopping);
            mesh._ownRedis = options.Redis is null ? await LocalRedis.StartAsync(mesh.Folder, log, time, stopping) : null;
            mesh.Redis = options.Redis ?? mesh._ownRedis!.Address;
            await mesh.StartNodesAsync(options, log, time, stopping);
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

    private async Task StartNodesAsync(LocalMeshOptions options, TextWriter log, TimeProvider time, CancellationToken stopping)
    {
        var environment = CliEnvironment.ForNode();
        var arena = options.ArenaBytes > 0 ? options.ArenaBytes : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;
        for (var i = 0; i < options.Nodes; i++)
        {
            var index = i;
            var id = $"n{index + 1}";
            _processes.Add(new Supervised(
                id, () => LocalProcess.Start(id, OwnProgram.Command([.. Arguments(options, id, index, Math.Max(1 << 20, arena / options.Nodes))]), Settings(id), log),
                async (process, stop) => _nodes[index] = LocalNodeReport.Parse(id, await process.FirstLineAsync(stop)), log, time, stopping));
        }

        foreach (var process in _processes)
        {
            await process.FirstReadyAsync(stopping);
        }

        Dictionary<string, string> Settings(string id) => new()
        {
            ["KVMESH_Mesh__Redis"] = Redis,
            ["KVMESH_NodeId"] = id,
            ["KVMESH_Mesh__Cluster"] = environment.GetValueOrDefault("KVMESH_Mesh__Cluster", "local"),

            // The mesh stops as a whole: nobody stays to take what a node has.
            ["KVMESH_Placement__DrainTimeout"] = environment.GetValueOrDefault("KVMESH_Placement__DrainTimeout", "0s"),
        };
    }

    private IEnumerable<string> Arguments(LocalMeshOptions options, string id, int index, long arenaBytes)
    {
        string[] fixedPart =
        [
            "serve", "--json", "--until-stdin-ends", "--data-dir", Path.Combine(Folder, id), "--arena", arenaBytes.ToString(CultureInfo.InvariantCulture),
        ];

        // A node that is started again is where its clients knew it, also when it chose its ports itself.
        var before = _nodes[index];
        return
        [
            .. fixedPart,
            "--http", before is null ? Door(0) : new Uri(before.Http).Authority,
            "--native", before?.Native ?? Door(1),
            "--resp", before?.Resp ?? Door(2),
        ];

        string Door(int offset) => $"127.0.0.1:{(options.Port == 0 ? 0 : options.Port + (index * PortsPerNode) + offset)}";
    }
}
