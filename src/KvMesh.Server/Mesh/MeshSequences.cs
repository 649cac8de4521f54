using KvMesh.Cluster.Sequences;
using KvMesh.Server.Hosting;

namespace KvMesh.Server.Mesh;

/// <summary>The sequences of a node: in a file of its data directory.</summary>
internal static class MeshSequences
{
    private const string FileName = "sequences";

    /// <summary>Opens them and begins their upkeep; both end with the node's parts.</summary>
    /// <exception cref="IOException">The file cannot be used.</exception>
    public static ISequenceHost Open(MeshContext context, StopSteps stop)
    {
        var options = context.Options;
        var store = new EmbeddedSequenceStore(Path.Combine(options.DataDirectory, FileName), options.Sequences.ToRules(), context.Time, context.Loggers);
        stop.Add(store);
        var host = new SequenceHost(store, options.Sequences.ToHostOptions(options.Mesh.NodeId), context.Time, context.Loggers);
        stop.Add(() => host.DisposeAsync().AsTask());
        host.Start();
        return host;
    }
}
