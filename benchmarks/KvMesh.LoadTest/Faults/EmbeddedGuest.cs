using KvMesh.Server;
using KvMesh.Server.Options;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging;

namespace KvMesh.LoadTest.Faults;

/// <summary>A further node of the mesh inside this process: for what a process cannot be given from outside, such as another clock.</summary>
internal sealed class EmbeddedGuest : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory;
    private readonly KvMeshNode _node;

    private EmbeddedGuest(string name, TemporaryDirectory directory, KvMeshNode node)
    {
        _directory = directory;
        _node = node;
        Target = new NodeTarget(name, node.Endpoints.Native!, node.Endpoints.Resp!, node.Endpoints.Http);
    }

    public NodeTarget Target { get; }

    /// <param name="versions">Of the native protocol; empty: those of this program.</param>
    public static async Task<EmbeddedGuest> StartAsync(string name, string redis, NodeSurroundings surroundings, string versions = "")
    {
        var directory = new TemporaryDirectory();
        try
        {
            var options = new NodeOptions
            {
                DataDirectory = directory.Path,
                Console = false,
                Http = { Port = 0 },
                Native = { Port = 0 },
                Resp = { Port = 0 },
                Mesh = { Redis = redis, NodeId = name, Versions = versions, RedisBlocks = { Address = redis } },
                Placement = { DrainTimeout = TimeSpan.Zero },
                Log = { Level = LogLevel.Error },
                Engine = { ArenaBytes = 16 << 20, RemoveArenaOnStop = true, StopBudget = TimeSpan.Zero },
            };
            return new EmbeddedGuest(name, directory, await KvMeshNode.StartAsync(NodeOptionsReader.Check(options), surroundings, CancellationToken.None));
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>It leaves the mesh and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        Target.Health.Break();
        await _node.DisposeAsync();
        _directory.Dispose();
    }
}
