using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Remote.Tests.Redis;

/// <summary>Redis Cluster refuses scripts whose keys lie in several slots.</summary>
public sealed class RedisClusterTests
{
    [Fact]
    public async Task Every_step_stays_in_one_hash_slot()
    {
        await using var server = await RestartableRedis.StartAsync("--cluster-enabled", "yes");
        await ChildProcess.RunAsync(
            "redis-cli", ["-p", $"{server.Port}", "cluster", "addslotsrange", "0", "16383"], Eventually.Patience);
        await using var link = new RedisLink($"{server.Address},syncTimeout=120000", "test", TimeProvider.System);
        await using var store = new RedisMembershipStore(link, "fleet");
        var record = new NodeRecord { Id = NodeId.Parse("a"), Incarnation = 1, NativeAddress = "127.0.0.1:1" };

        // A cluster of one takes a moment to find itself complete.
        var identity = await Eventually.Succeeds<ClusterIdentity, StoreSilentException>(
            () => store.AgreeAsync(null, CancellationToken.None).AsTask(), "a cluster that serves");
        var joined = await store.JoinAsync(new JoinRequest(record, "owner"), CancellationToken.None);
        var beat = await store.BeatAsync(
            new BeatRequest(record.Id, joined.Incarnation, "owner", record, TimeSpan.FromHours(1), default), CancellationToken.None);
        var lease = await new RedisSchedulerLease(
            link, "fleet", record.Id, new OrderGate(), TimeSpan.FromMinutes(1), Eventually.Patience, TimeProvider.System).HoldAsync(CancellationToken.None);
        await store.LeaveAsync(record.Id, joined.Incarnation, CancellationToken.None);

        Assert.Equal("fleet", identity.Name);
        Assert.Equal(BeatOutcome.Member, beat.Outcome);
        Assert.True(lease.IsHeld);
    }
}
