using System.Diagnostics.Metrics;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Removals;
using KvMesh.Engine.FarTiers;
using KvMesh.Remote.Peers;
using KvMesh.Server.Hosting;
using KvMesh.Server.Telemetry;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Mesh;

/// <summary>Attaches the other nodes as a tier of this one, on a node that has others.</summary>
internal static class PeerReads
{
    /// <summary>Null on a node of its own.</summary>
    public static PeerTier? Attach(MeshContext context, IBlockLocator locator, IClusterViews views, PeerCredential credential, Removals? removals, StopSteps stop)
    {
        if (!MeshOptionsRules.IsShared(context.Options.Mesh))
        {
            return null;
        }

        var tier = new PeerTier(locator, views, new PeerContext(
            views.Self, credential, context.Options.Mesh.Peers, context.Options.Net.CongestionControl, context.Time,
            context.Loggers.CreateLogger<PeerTier>()), removals);
        stop.Add(tier);
        Publish(context.Metrics, tier);
        context.Engine.AttachTier(tier);
        return tier;
    }

    private static void Publish(NodeMetrics metrics, PeerTier tier)
    {
        var meter = metrics.Meter;
        meter.CreateObservableCounter("kvmesh.peer.reads", () => Reads(metrics, tier), "{block}", "Blocks that other nodes were asked for, by outcome.");
        meter.CreateObservableCounter("kvmesh.peer.read", () => Figures(metrics, tier)?.HitBytes ?? 0, "By", "Payload bytes that came from other nodes.");
        meter.CreateObservableCounter("kvmesh.peer.mismatches", () => Figures(metrics, tier)?.Mismatches ?? 0, "{chunk}", "Chunks from other nodes that were not what was promised; none was used.");
        meter.CreateObservableCounter("kvmesh.peer.hedges", () => tier.Peers().Sum(peer => peer.Hedges), "{read}", "Reads in which a second node was asked because the first was slow.");
        meter.CreateObservableCounter("kvmesh.peer.served", () => metrics.Snapshot().PeerReads, "{block}", "Reads of other nodes that this one answered with a block.");
        meter.CreateObservableGauge("kvmesh.peer.connections", () => tier.Peers().Sum(peer => peer.Connections), "{connection}", "Connections to other nodes for reading blocks.");
        meter.CreateObservableGauge("kvmesh.peer.left_alone", () => tier.Peers().Count(peer => !peer.IsClosed), "{node}", "Nodes that are not read from now, because they failed.");
    }

    /// <summary>Null in a snapshot from before the tier was attached.</summary>
    private static FarTierSnapshot? Figures(NodeMetrics metrics, PeerTier tier) =>
        metrics.Snapshot().FarTiers.FirstOrDefault(far => far.Name == tier.Name);

    private static IEnumerable<Measurement<long>> Reads(NodeMetrics metrics, PeerTier tier)
    {
        if (Figures(metrics, tier) is not { } figures)
        {
            yield break;
        }

        yield return Of("hit", figures.Hits);
        yield return Of("miss", figures.Misses - figures.FalseHits);
        yield return Of("false_hit", figures.FalseHits);
        yield return Of("failed", figures.Failures);

        static Measurement<long> Of(string outcome, long count) => new(count, new KeyValuePair<string, object?>("kvmesh.outcome", outcome));
    }
}
