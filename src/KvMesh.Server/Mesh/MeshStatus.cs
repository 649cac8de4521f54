using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Admin;

namespace KvMesh.Server.Mesh;

/// <summary>Turns a node's membership into the words of the admin API.</summary>
internal static class MeshStatus
{
    public static ClusterStatus Of(Membership membership, string cluster, string store, TimeProvider time)
    {
        var (view, standing, figures) = (membership.Current, membership.Standing, membership.Figures);
        double? silence = figures.SilentSince is var since && since != 0 ? time.GetElapsedTime(since).TotalSeconds : null;
        var nodes = view.Nodes.Select(node => Member(node, isUsed: true)).Concat(view.Incompatible.Select(node => Member(node, isUsed: false)));
        return new ClusterStatus(
            cluster, membership.Self.Value, standing.State.ToString().ToLowerInvariant(), standing.Reason, store, silence, view.Epoch, view.IsFrozen,
            [.. figures.HeldBack.Select(id => id.Value)], [.. nodes.OrderBy(node => node.Id, StringComparer.Ordinal)]);
    }

    private static MemberStatus Member(NodeRecord node, bool isUsed) => new(
        node.Id.Value, node.Incarnation, node.State.ToString().ToLowerInvariant(), isUsed, node.NativeAddress, node.HttpAddress, node.RespAddress,
        node.Machine, node.Version, node.MinProtocol, node.MaxProtocol,
        [.. node.Tiers.Select(tier => new MemberTier(tier.Name, tier.CapacityBytes, tier.UsedBytes))]);
}
