using System.Diagnostics.Metrics;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.Server.Hosting;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Mesh;

/// <summary>Removals and purges over the cluster, on a node that has others.</summary>
internal static class MeshRemovals
{
    /// <summary>Null: there are no other nodes, and a removal is done when it is done here.</summary>
    public static Removals? Open(MeshContext context, RedisLink? link, Membership membership, TimeSpan storeTimeout, StopSteps stop)
    {
        if (link is null)
        {
            return null;
        }

        var mesh = context.Options.Mesh;
        var log = new RedisRemovalLog(link, mesh.Cluster);
        var memory = new RemovalFile(context.Options.DataDirectory, mesh.Cluster, context.Loggers.CreateLogger<RemovalFile>());
        var removals = new Removals(membership, log, new EngineRemovals(context.Engine), memory, storeTimeout, context.Time, context.Loggers);
        membership.RemovalsNoted += removals.Note;
        stop.Add(() => removals.DisposeAsync().AsTask());
        Publish(context.Metrics.Meter, removals);
        return removals;
    }

    private static void Publish(Meter meter, Removals removals)
    {
        var figures = removals.Figures;
        meter.CreateObservableCounter("kvmesh.removals.told", () => figures.Told, "{removal}", "Removals and purges of this node that the others were told.");
        meter.CreateObservableCounter("kvmesh.removals.carried_out", () => figures.CarriedOut, "{removal}", "Removals and purges of other nodes that were carried out here.");
        meter.CreateObservableGauge("kvmesh.removals.untold", () => removals.Untold, "{removal}", "Removals and purges that the others have not been told.");
        meter.CreateObservableCounter("kvmesh.removals.behind", () => figures.Behind, "{read}", "Reads of other nodes that were not answered because this one had not carried out all removals.");
        meter.CreateObservableCounter("kvmesh.removals.drops", () => figures.Drops, "{drop}", "Times that all blocks went because this node missed too many removals.");
    }
}
