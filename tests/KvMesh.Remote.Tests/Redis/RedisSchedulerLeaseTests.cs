using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Scheduling;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Remote.Tests.Redis;

public sealed class RedisSchedulerLeaseTests(RedisFixture redis) : SharedSchedulerLeaseContract, IClassFixture<RedisFixture>, IAsyncDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(1);

    private readonly string _cluster = $"c{Guid.NewGuid():n}";
    private readonly List<RedisLink> _links = [];

    [Fact]
    public async Task A_lease_that_the_servers_clock_keeps_alive_is_taken_from_a_silent_holder_and_not_from_a_busy_one()
    {
        var duration = TimeSpan.FromHours(1);
        var clock = new SimulatedClock();
        var holder = Create("a", new OrderGate(), duration, TimeProvider.System);
        var first = await holder.HoldAsync(CancellationToken.None);
        var other = Create("b", new OrderGate(), duration, clock);

        Assert.False((await other.HoldAsync(CancellationToken.None)).IsHeld);
        await holder.HoldAsync(CancellationToken.None);
        clock.Advance(duration);
        Assert.False((await other.HoldAsync(CancellationToken.None)).IsHeld);
        clock.Advance(duration);
        var taken = await other.HoldAsync(CancellationToken.None);

        Assert.True(taken.IsHeld);
        Assert.True(taken.Token > first.Token);
        Assert.False((await holder.HoldAsync(CancellationToken.None)).IsHeld);
    }

    [Fact]
    public async Task Tokens_go_on_growing_when_the_data_are_lost()
    {
        var orders = new OrderGate();
        var lease = Create("a", orders, TimeSpan.FromHours(1), TimeProvider.System);
        orders.Observe(DateTimeOffset.UtcNow.AddYears(1).ToUnixTimeMilliseconds());
        var first = await lease.HoldAsync(CancellationToken.None);
        var prefix = ClusterKeys.Prefix(_cluster);
        await _links[0].EvaluateAsync("return redis.call('DEL', KEYS[1], KEYS[2])", [prefix + "scheduler", prefix + "meta"], [], CancellationToken.None);

        var second = await lease.HoldAsync(CancellationToken.None);

        Assert.True(second.Token > first.Token, $"{second.Token} follows {first.Token}.");
    }

    [Fact]
    public async Task A_holder_whose_token_nobody_follows_any_more_gets_another_one()
    {
        var orders = new OrderGate();
        var lease = Create("a", orders, TimeSpan.FromHours(1), TimeProvider.System);
        var first = await lease.HoldAsync(CancellationToken.None);
        Assert.Equal(first, await lease.HoldAsync(CancellationToken.None));

        // A later one was given, and lost with what the server wrote last.
        orders.Observe(first.Token + 10);
        var second = await lease.HoldAsync(CancellationToken.None);

        Assert.True(second.IsHeld);
        Assert.True(second.Token > first.Token + 10, $"{second.Token} follows {first.Token + 10}.");
        Assert.Equal(second, await lease.HoldAsync(CancellationToken.None));
    }

    [Fact]
    public async Task A_store_that_is_not_there_gives_no_lease()
    {
        using var closed = new ClosedPort();
        await using var link = new RedisLink($"{closed.Endpoint}", "test", TimeProvider.System);
        await using var lease = new RedisSchedulerLease(
            link, _cluster, NodeId.Parse("a"), new OrderGate(), TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(200), TimeProvider.System);

        Assert.Equal(LeaseHolding.None, await lease.HoldAsync(CancellationToken.None));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var link in _links)
        {
            await link.DisposeAsync();
        }
    }

    protected override ISchedulerLease Create(NodeId self, OrderGate orders, TimeSpan duration) => Create(self.Value, orders, duration, TimeProvider.System);

    private RedisSchedulerLease Create(string id, OrderGate orders, TimeSpan duration, TimeProvider time)
    {
        _links.Add(redis.Connect());
        return new RedisSchedulerLease(_links[^1], _cluster, NodeId.Parse(id), orders, duration, Timeout, time);
    }
}
