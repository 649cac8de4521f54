using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Orleans.Hosting;
using KvMesh.Server.Hosting;
using NodeId = KvMesh.Cluster.Membership.NodeId;

namespace KvMesh.Server.Mesh.Silos;

/// <summary>The silo of a node whose sequences and scheduler are grains.</summary>
internal sealed class MeshSilo
{
    private readonly SiloKeeper _keeper;

    private MeshSilo(SiloKeeper keeper)
    {
        _keeper = keeper;
        Sequences = keeper.OpenSequences();
    }

    /// <summary>Whether this program was built with what a silo needs.</summary>
    public static bool IsBuilt => true;

    public ISequenceStore Sequences { get; }

    /// <summary>Builds it; it joins when it is started, and leaves with the node's parts.</summary>
    /// <param name="rows">Where heads and rows are kept, the same for all nodes.</param>
    public static MeshSilo Open(MeshContext context, ISequenceStore rows, StopSteps stop)
    {
        var mesh = context.Options.Mesh;
        var silo = mesh.Silo;
        var options = new OrleansSiloOptions
        {
            Cluster = silo.ClusterId.Length > 0 ? silo.ClusterId : mesh.Cluster,
            Redis = silo.Redis.Length > 0 ? silo.Redis : mesh.Redis,
            Address = MeshSiloRules.AddressOf(context.Options)!,
            Port = silo.Port,
            GatewayPort = silo.GatewayPort,
            ProbeInterval = silo.ProbeInterval,
            MissedProbes = silo.MissedProbes,
            ResponseLimit = silo.ResponseLimit,
        };
        var keeper = new SiloKeeper(options, rows, context.Options.Sequences.ToRules(), context.Time, context.Loggers);
        stop.Add(() => keeper.DisposeAsync().AsTask());
        return new MeshSilo(keeper);
    }

    public ISchedulerLease LeaseFor(NodeId self, OrderGate orders, TimeSpan duration) => _keeper.LeaseFor(self, orders, duration);

    /// <summary>A Redis that does not answer delays nothing: the silo joins when it does.</summary>
    public void Start() => _keeper.Start();
}
