using KvMesh.Cluster.Membership;
using KvMesh.Cluster.Placement.Scheduler;
using KvMesh.Cluster.Scheduling;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Remote.Tests.Redis;

public sealed class RedisPlacementJournalTests(RedisFixture redis) : PlacementJournalContract, IClassFixture<RedisFixture>, IAsyncDisposable
{
    private readonly string _cluster = $"c{Guid.NewGuid():n}";
    private readonly List<RedisLink> _links = [];

    [Fact]
    public async Task It_looks_at_the_token_of_the_lease()
    {
        await using var journal = Connect();
        var first = await HoldAsync("a");
        Assert.True(await journal.WriteAsync(first.Token, Change(isPaused: true), CancellationToken.None));
        await EvaluateAsync("return redis.call('DEL', KEYS[1])", "scheduler");

        var second = await HoldAsync("b");

        Assert.False(await journal.WriteAsync(first.Token, Change(isPaused: false), CancellationToken.None));
        Assert.True((await journal.ReadAsync(second.Token, CancellationToken.None))!.IsPaused);
    }

    [Fact]
    public async Task What_no_scheduler_wrote_is_passed_over()
    {
        await using var journal = Connect();
        await journal.WriteAsync(5, Change(lastOrder: 7, orders: [Order(7)], lines: ["one"]), CancellationToken.None);
        await EvaluateAsync("redis.call('HSET', KEYS[1], '1', 'no order', '2', '{}', '3', '') return 1", "orders");
        await EvaluateAsync("redis.call('HSET', KEYS[1], 'paused', 'perhaps', 'last_order', 'many') return 1", "placement");
        await EvaluateAsync("redis.call('XADD', KEYS[1], '*', 'at', 'soon') return 1", "audit");

        var page = (await journal.ReadAsync(6, CancellationToken.None))!;

        Assert.Equal(7, Assert.Single(page.Orders).Id);
        Assert.Equal((false, 0L, "one"), (page.IsPaused, page.LastOrder, page.Audit[0].Action));
    }

    [Fact]
    public async Task A_store_that_is_not_there_is_silent()
    {
        using var closed = new ClosedPort();
        await using var link = new RedisLink($"{closed.Endpoint}", "test", TimeProvider.System);
        await using var journal = new RedisPlacementJournal(link, _cluster, TimeSpan.FromMilliseconds(200));

        await Assert.ThrowsAsync<StoreSilentException>(async () => await journal.ReadAsync(5, CancellationToken.None));
        await Assert.ThrowsAsync<StoreSilentException>(async () => await journal.WriteAsync(5, Change(isPaused: true), CancellationToken.None));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var link in _links)
        {
            await link.DisposeAsync();
        }
    }

    protected override IPlacementJournal Connect() => new RedisPlacementJournal(Link(), _cluster, Eventually.Patience);

    protected override Task AppointAsync(long token) => EvaluateAsync("return redis.call('HSET', KEYS[1], 'token', ARGV[1])", "meta", $"{token}");

    private ValueTask<LeaseHolding> HoldAsync(string id) => new RedisSchedulerLease(
        Link(), _cluster, NodeId.Parse(id), new OrderGate(), TimeSpan.FromHours(1), Eventually.Patience, TimeProvider.System).HoldAsync(CancellationToken.None);

    private Task EvaluateAsync(string script, string key, params string[] values) =>
        Link().EvaluateAsync(script, [ClusterKeys.Prefix(_cluster) + key], [.. values.Select(value => (StackExchange.Redis.RedisValue)value)], CancellationToken.None);

    private RedisLink Link()
    {
        _links.Add(redis.Connect());
        return _links[^1];
    }
}
