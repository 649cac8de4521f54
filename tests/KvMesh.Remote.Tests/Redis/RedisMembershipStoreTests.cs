using KvMesh.Cluster.Membership;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;

namespace KvMesh.Remote.Tests.Redis;

public sealed class RedisMembershipStoreTests(RedisFixture redis) : MembershipStoreContract, IClassFixture<RedisFixture>, IAsyncDisposable
{
    private readonly string _cluster = $"c{Guid.NewGuid():n}";
    private readonly List<RedisLink> _links = [];

    [Fact]
    public async Task A_clock_that_was_set_back_does_not_make_a_dead_node_seem_alive()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        await store.JoinAsync(new JoinRequest(Record("b"), "o-b"), CancellationToken.None);

        // As if the last beat of b had come an hour ahead of now.
        var ahead = DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds();
        await _links[0].EvaluateAsync("return redis.call('ZADD', KEYS[1], ARGV[1], 'b')", [ClusterKeys.Prefix(_cluster) + "beats"], [ahead], CancellationToken.None);

        await Eventually.Holds(
            async () => (await store.BeatAsync(
                new BeatRequest(NodeId.Parse("a"), a, "o-a", null, TimeSpan.FromMilliseconds(50), default), CancellationToken.None)).Silent.Contains(NodeId.Parse("b")),
            "b among the silent");
    }

    [Fact]
    public async Task A_member_that_was_silent_for_hours_is_forgotten()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        await store.JoinAsync(new JoinRequest(Record("b"), "o-b"), CancellationToken.None);
        var mark = (await BeatAsync(store, a, default)).Mark;
        await SetAgeAsync("b", TimeSpan.FromMinutes(90));

        var first = await BeatAsync(store, a, mark);
        await SetAgeAsync("b", TimeSpan.FromHours(3));
        await BeatAsync(store, a, first.Mark);
        var last = await BeatAsync(store, a, default);

        Assert.Equal(NodeId.Parse("b"), Assert.Single(first.Removed));
        Assert.Equal("a", Assert.Single(last.Members).Record.Id.Value);
        Assert.Equal("1", (string?)await _links[0].EvaluateAsync(
            "return tostring(redis.call('ZCARD', KEYS[1]))", [ClusterKeys.Prefix(_cluster) + "beats"], [], CancellationToken.None));
    }

    [Fact]
    public async Task A_record_that_another_program_garbled_is_passed_over()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        await _links[0].EvaluateAsync("return redis.call('HSET', KEYS[1], 'x', '1|o|0|5|{ no json')", [ClusterKeys.Prefix(_cluster) + "members"], [], CancellationToken.None);

        Assert.Equal("a", Assert.Single((await BeatAsync(store, a, default)).Members).Record.Id.Value);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var link in _links)
        {
            await link.DisposeAsync();
        }
    }

    protected override IMembershipStore Connect()
    {
        _links.Add(redis.Connect());
        return new RedisMembershipStore(_links[^1], _cluster);
    }

    private static NodeRecord Record(string id) => new() { Id = NodeId.Parse(id), Incarnation = 1, NativeAddress = "127.0.0.1:1" };

    private static async Task<BeatReply> BeatAsync(IMembershipStore store, long incarnation, StoreMark seen) =>
        await store.BeatAsync(new BeatRequest(NodeId.Parse("a"), incarnation, "o-a", null, TimeSpan.FromDays(1), seen), CancellationToken.None);

    private Task SetAgeAsync(string id, TimeSpan age) => _links[0].EvaluateAsync(
        "return redis.call('ZADD', KEYS[1], redis.call('TIME')[1] * 1000 - ARGV[2], ARGV[1])",
        [ClusterKeys.Prefix(_cluster) + "beats"], [id, (long)age.TotalMilliseconds], CancellationToken.None);
}
