using KvMesh.Cluster.Scheduling;
using KvMesh.Cluster.Sequences;
using KvMesh.Server.Hosting;
using NodeId = KvMesh.Cluster.Membership.NodeId;

namespace KvMesh.Server.Mesh.Silos;

/// <summary>In a program that was built without Orleans no node has a silo: its options were refused before anything asks for one.</summary>
internal abstract class MeshSilo
{
    /// <summary>Whether this program was built with what a silo needs.</summary>
    public static bool IsBuilt => false;

    public abstract ISequenceStore Sequences { get; }

    /// <exception cref="NotSupportedException">Always.</exception>
    public static MeshSilo Open(MeshContext context, ISequenceStore rows, StopSteps stop) =>
        throw new NotSupportedException("This program was built without the property KvMeshOrleans.");

    public abstract ISchedulerLease LeaseFor(NodeId self, OrderGate orders, TimeSpan duration);

    public abstract void Start();
}
