using KvMesh.Cluster.Removals;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Remote.Tests.Redis;

public sealed class RedisRemovalLogTests(RedisFixture redis) : RemovalLogContract, IClassFixture<RedisFixture>, IAsyncDisposable
{
    private readonly string _cluster = $"c{Guid.NewGuid():n}";
    private readonly List<RedisLink> _links = [];

    [Fact]
    public async Task Beyond_its_limit_the_oldest_keys_go_and_the_log_tells_up_to_which()
    {
        const int Kept = 64;
        await using var log = new RedisRemovalLog(Link(), _cluster, Kept, RemovalLimits.MaxScopes);
        var start = await ReadAsync(log);
        for (var call = 0; call < 12; call++)
        {
            await log.RemoveAsync([.. Enumerable.Range(0, RemovalLimits.MaxKeysPerCall).Select(index => Key($"{call}-{index}"))], "run", 0, CancellationToken.None);
        }

        var page = await ReadAsync(log, start);

        Assert.True(page.Floor > start.Last);
        Assert.Equal(page.Floor + 1, page.Keys[0].Number);
        Assert.InRange(page.Keys.Length, Kept, Kept + 1024);
    }

    [Fact]
    public async Task Beyond_its_limit_the_oldest_scopes_go_and_the_log_tells_up_to_which()
    {
        await using var log = new RedisRemovalLog(Link(), _cluster, RemovalLimits.MaxKeptKeys, 32);
        var numbers = new List<long>();
        for (var scope = 0; scope < 40; scope++)
        {
            numbers.Add(await log.PurgeAsync(new PurgeScope("acme", $"model-{scope}", null), "run", 0, CancellationToken.None));
        }

        var page = await ReadAsync(log);

        Assert.InRange(page.Purges.Length, 30, 32);
        Assert.Equal(numbers[40 - page.Purges.Length - 1], page.PurgeFloor);
        Assert.Contains(page.Purges, purge => purge.Number == numbers[^1]);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var link in _links)
        {
            await link.DisposeAsync();
        }
    }

    protected override IRemovalLog Connect() => new RedisRemovalLog(Link(), _cluster);

    private RedisLink Link()
    {
        _links.Add(redis.Connect());
        return _links[^1];
    }
}
