using KvMesh.Server;
using KvMesh.Server.Options;
using Microsoft.Extensions.Logging;

namespace KvMesh.Cli.Hosting;

/// <summary>A node inside this process, on free ports of the loopback address. What it put on disk and in shared memory goes with it.</summary>
internal sealed class EmbeddedNode : IAsyncDisposable
{
    private readonly string? _temporary;

    private EmbeddedNode(KvMeshNode node, string? temporary)
    {
        Node = node;
        _temporary = temporary;
    }

    public KvMeshNode Node { get; }

    /// <exception cref="NodeStartException">The machine cannot give what was asked.</exception>
    public static async Task<EmbeddedNode> StartAsync(EmbeddedNodeOptions options, CancellationToken cancellationToken)
    {
        var temporary = options.DataDirectory is null ? Directory.CreateTempSubdirectory("kvmesh-").FullName : null;
        var nodeOptions = new NodeOptions
        {
            DataDirectory = options.DataDirectory ?? temporary!,
            Console = options.Console,
            Http = { Port = options.HttpPort },
            Native = { Port = 0 },
            Resp = { Port = 0 },
            Log = { Level = LogLevel.Warning },
            Engine =
            {
                ArenaBytes = options.ArenaBytes,
                MaxResidentBlocks = options.MaxResidentBlocks,
                Disk = { CapacityBytes = options.DiskBytes },
                RemoveArenaOnStop = temporary is not null,
            },
        };
        nodeOptions.Engine.Retention = options.Retention ?? nodeOptions.Engine.Retention;
        nodeOptions.Engine.MaxExistenceLease = options.MaxLease ?? nodeOptions.Engine.MaxExistenceLease;
        if (temporary is not null)
        {
            nodeOptions.Engine.StopBudget = TimeSpan.Zero;
        }

        try
        {
            return new EmbeddedNode(await KvMeshNode.StartAsync(nodeOptions, cancellationToken), temporary);
        }
        catch
        {
            Remove(temporary);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        Remove(_temporary);
    }

    private static void Remove(string? directory)
    {
        if (directory is not null)
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
