using System.Diagnostics.Metrics;
using KvMesh.Cluster.Membership;

namespace KvMesh.Server.Telemetry;

/// <summary>Figures of a node's membership.</summary>
internal static class MeshMetrics
{
    public static void Add(Meter meter, Membership membership, TimeProvider time)
    {
        var figures = membership.Figures;
        meter.CreateObservableGauge("kvmesh.mesh.member", () => membership.Standing.State == MemberState.Member ? 1 : 0, null, "1 while the node is a member of its cluster.");
        meter.CreateObservableGauge("kvmesh.mesh.incarnation", () => membership.Standing.Incarnation, null, "Number of this run in the cluster; 0 while it is no member.");
        meter.CreateObservableGauge("kvmesh.mesh.nodes", () => membership.Current.Nodes.Length, "{node}", "Members in the node's view.");
        meter.CreateObservableGauge("kvmesh.mesh.incompatible_nodes", () => membership.Current.Incompatible.Length, "{node}", "Members that speak no common version.");
        meter.CreateObservableGauge("kvmesh.mesh.held_back_nodes", () => figures.HeldBack.Length, "{node}", "Silent members that are kept, because too many are silent at once.");
        meter.CreateObservableGauge("kvmesh.mesh.view_epoch", () => membership.Current.Epoch, null, "Number of the node's view; it grows with every change.");
        meter.CreateObservableGauge("kvmesh.mesh.view_frozen", () => membership.Current.IsFrozen ? 1 : 0, null, "1 while the store is silent and the last view stays in force.");
        meter.CreateObservableGauge(
            "kvmesh.mesh.store_silence", () => figures.SilentSince is var since && since != 0 ? time.GetElapsedTime(since).TotalSeconds : 0, "s",
            "For how long the store has not answered.");
        meter.CreateObservableCounter("kvmesh.mesh.store_answers", () => figures.StoreAnswers, "{turn}", "Heartbeats that the store answered.");
        meter.CreateObservableCounter("kvmesh.mesh.store_failures", () => figures.StoreFailures, "{turn}", "Heartbeats that the store did not answer.");
        meter.CreateObservableCounter("kvmesh.mesh.fences", () => figures.Fences, "{fence}", "Times that another run took this node's id.");
        meter.CreateObservableCounter("kvmesh.mesh.departures", () => figures.Departures, "{node}", "Members that were taken out of the view because they were silent.");
    }
}
