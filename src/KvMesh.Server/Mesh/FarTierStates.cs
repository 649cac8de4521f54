using KvMesh.Cluster.Membership;
using KvMesh.Engine;
using KvMesh.Engine.Telemetry;
using KvMesh.Protocol.Admin;
using KvMesh.Remote.Peers;
using KvMesh.Remote.Redis.Blocks;

namespace KvMesh.Server.Mesh;

/// <summary>The tiers beyond a node in the words of the admin API.</summary>
/// <param name="peers">Null: the node is alone.</param>
/// <param name="redis">Null: blocks are not kept in Redis.</param>
internal sealed class FarTierStates(NodeId self, PeerTier? peers, RedisBlockTier? redis)
{
    public RedisBlockTier? Redis => redis;

    public string StateOf(string tier)
    {
        if (redis is not null && tier == redis.Name)
        {
            return !redis.IsUp ? "down" : redis.IsWritable ? "up" : "read-only";
        }

        if (tier == BlockEngine.HeldTierName)
        {
            return "up";
        }

        var known = peers?.Peers() ?? [];
        var asked = known.Count(peer => peer.IsClosed);
        return asked == known.Count ? "up" : asked > 0 ? "partly" : "down";
    }

    public FlowList Flows(EngineSnapshot engine, TimeProvider time)
    {
        var flows = (peers?.Peers() ?? [])
            .Select(peer => new FlowStatus("peer", peer.Node, self.Value, peer.Hits, peer.HitBytes, peer.Failures, !peer.IsClosed))
            .ToList();
        if (redis is not null && engine.FarTiers.FirstOrDefault(tier => tier.Name == redis.Name) is { } stored)
        {
            flows.Add(new FlowStatus("redis", "", self.Value, stored.Hits, stored.HitBytes, stored.Failures, !redis.IsUp));
            flows.Add(new FlowStatus("redis", self.Value, "", stored.Offered, stored.OfferedBytes, 0, !redis.IsWritable));
        }

        return new FlowList(self.Value, time.GetUtcNow(), flows);
    }
}
