using System.Diagnostics.Metrics;
using KvMesh.Cluster.Membership;
using KvMesh.Server.Mesh;

namespace KvMesh.Server.Telemetry;

/// <summary>Figures of a node's membership.</summary>
internal static class MeshMetrics
{
    public static void Add(Meter meter, Membership membership, MeshOptions mesh, TimeProvider time)
    {
        var figures = membership.Figures;
        KeyValuePair<string, object?>[] who =
        [
            new("kvmesh.cluster", mesh.Cluster),
            new("kvmesh.control", MeshOptionsRules.IsShared(mesh) ? "redis" : "embedded"),
        ];
        meter.CreateObservableGauge("kvmesh.mesh.info", () => new Measurement<int>(1, who), null, "1; its labels say which cluster the node is of, and where it meets the others.");
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
        meter.CreateObservableCounter("kvmesh.mesh.store_late_answers", () => figures.LateAnswers, "{answer}", "Answers of the store that came after the wait for them, and were used.");
        meter.CreateObservableCounter("kvmesh.mesh.fences", () => figures.Fences, "{fence}", "Times that another run took this node's id.");
        meter.CreateObservableCounter("kvmesh.mesh.dismissals", () => figures.Dismissals, "{dismissal}", "Times that an operator declared this node gone while it lived.");
        meter.CreateObservableCounter("kvmesh.mesh.departures", () => figures.Departures, "{node}", "Members that were taken out of the view because they were silent.");
    }
}
