using KvMesh.Cluster.Sequences;
using KvMesh.Remote.Redis.Sequences;
using KvMesh.Server.Hosting;
using KvMesh.Server.Mesh.Silos;
using KvMesh.Server.Telemetry;

namespace KvMesh.Server.Mesh;

/// <summary>The sequences of a node: in the Redis that it shares with others, owned by grains or not, or in a file of its own data directory.</summary>
internal static class MeshSequences
{
    private const string FileName = "sequences";

    /// <summary>Opens them and begins their upkeep; both end with the node's parts. A Redis that does not answer delays nothing.</summary>
    /// <exception cref="IOException">The file cannot be used.</exception>
    public static MeteredSequences Open(MeshContext context, MeshSilo? silo, StopSteps stop)
    {
        var options = context.Options;
        ISequenceStore store = silo is not null ? silo.Sequences : MeshOptionsRules.IsShared(options.Mesh) ? OpenRedis(context, stop) : OpenFile(context, stop);
        var host = new SequenceHost(store, options.Sequences.ToHostOptions(options.Mesh.NodeId), context.Time, context.Loggers);
        stop.Add(() => host.DisposeAsync().AsTask());
        host.Start();
        return new MeteredSequences(new EngineSequences(host, context.Engine), () => host.Usages, context.Metrics.Meter);
    }

    /// <summary>The silo whose grains own sequences that Redis keeps; null where the options want none.</summary>
    public static MeshSilo? OpenSilo(MeshContext context, StopSteps stop) =>
        context.Options.Mesh.Control == ControlHost.Orleans ? MeshSilo.Open(context, OpenRedis(context, stop), stop) : null;

    private static EmbeddedSequenceStore OpenFile(MeshContext context, StopSteps stop)
    {
        var path = Path.Combine(context.Options.DataDirectory, FileName);
        var store = new EmbeddedSequenceStore(path, context.Options.Sequences.ToRules(), context.Time, context.Loggers);
        stop.Add(store);
        return store;
    }

    private static RedisSequenceStore OpenRedis(MeshContext context, StopSteps stop)
    {
        var mesh = context.Options.Mesh;
        var connection = new RedisSequenceConnection(mesh.Redis, $"kvmesh-{mesh.NodeId}-sequences", context.Time);
        stop.Add(() => connection.DisposeAsync().AsTask());
        var store = new RedisSequenceStore(connection, new RedisSequenceStoreOptions { KeyPrefix = $"kvmesh:{mesh.Cluster}:" }, context.Time);
        stop.Add(store);
        return store;
    }
}
