using System.Globalization;
using KvMesh.Cluster.Membership;
using KvMesh.Remote.Redis.Coordination;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using StackExchange.Redis;

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

    [Fact]
    public async Task A_first_read_costs_as_few_commands_for_many_members_as_for_one()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        await BeatAsync(store, a, default);
        var few = await CommandsOfAsync(() => BeatAsync(store, a, default));
        await AddAsync(1500);

        var many = await CommandsOfAsync(async () => Assert.Equal(1501, (await BeatAsync(store, a, default)).Members.Length));

        Assert.Equal(few, many);
    }

    [Fact]
    public async Task A_herd_of_changes_is_read_in_batches()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        await AddAsync(6000);
        var mark = (await BeatAsync(store, a, default)).Mark;
        await AddAsync(2500);

        var reply = await BeatAsync(store, a, mark);

        Assert.False(reply.IsComplete);
        Assert.Equal(2500, reply.Members.Select(member => member.Record.Id).Distinct().Count());
    }

    [Fact]
    public async Task Who_has_read_less_than_half_reads_everything()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        var mark = (await BeatAsync(store, a, default)).Mark;
        await AddAsync(400);

        var reply = await BeatAsync(store, a, mark);

        Assert.True(reply.IsComplete);
        Assert.Equal(401, reply.Members.Length);
    }

    [Fact]
    public async Task Many_that_read_everything_share_one_listing_of_the_records_and_get_what_changed_since()
    {
        await using var store = Connect();
        await AddAsync(1500);
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        await BeatAsync(store, a, default);
        await store.LeaveAsync(NodeId.Parse("n7"), 1, CancellationToken.None);
        await _links[0].EvaluateAsync(
            "redis.call('HDEL', KEYS[1], 'n8') redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[3], 'version', 1), 'n8')",
            [.. new[] { "members", "changes", "meta" }.Select(key => (RedisKey)(ClusterKeys.Prefix(_cluster) + key))], [], CancellationToken.None);
        await store.JoinAsync(new JoinRequest(Record("z"), "o-z"), CancellationToken.None);

        var listings = await CommandsOfAsync(
            async () =>
            {
                for (var reader = 0; reader < 5; reader++)
                {
                    var members = (await BeatAsync(store, a, default)).Members.ToDictionary(member => member.Record.Id.Value);
                    Assert.Equal(1501, members.Count);
                    Assert.True(members["n7"].HasLeft);
                    Assert.False(members.ContainsKey("n8"));
                    Assert.True(members.ContainsKey("z"));
                }
            },
            "cmdstat_hgetall");

        Assert.Equal(0, listings);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1:")]
    [InlineData("1:a2:b")]
    [InlineData("a")]
    [InlineData("-1:a")]
    [InlineData("99999999999:a1:b")]
    public void A_listing_that_ends_in_the_middle_is_read_up_to_there(string text)
    {
        var listing = "2:n0"u8.ToArray().Concat("3:1|o"u8.ToArray()).Concat(System.Text.Encoding.UTF8.GetBytes(text)).ToArray();

        Assert.Equal("n0", Assert.Single(MemberListing.Read(listing)).Id);
    }

    [Fact]
    public async Task In_a_large_cluster_changes_of_one_moment_are_announced_once()
    {
        await using var store = Connect();
        await AddAsync(1200);
        var multiplexer = await redis.ConnectDirectlyAsync();
        var left = 0;

        // The server may lose its core between the two; then they are not of one moment.
        await Eventually.Holds(
            async () =>
            {
                var transaction = multiplexer.GetDatabase().CreateTransaction();
                var first = LeaveAsync(transaction, $"n{left++}");
                var told = transaction.HashGetAsync(ClusterKeys.Prefix(_cluster) + "meta", "told");
                var second = LeaveAsync(transaction, $"n{left++}");
                var toldAfter = transaction.HashGetAsync(ClusterKeys.Prefix(_cluster) + "meta", "told");
                Assert.True(await transaction.ExecuteAsync());
                Assert.Equal(1, (int)await first);
                Assert.Equal(1, (int)await second);
                return !(await told).IsNull && await told == await toldAfter;
            },
            "two changes and one announcement");
    }

    [Fact]
    public async Task A_late_beat_is_a_change_while_a_member_of_the_release_before_would_wait_for_it()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        await _links[0].EvaluateAsync(
            "return redis.call('HSET', KEYS[1], 'old', '7|owner|0|1763798399123|{\"id\":\"old\"}')", [ClusterKeys.Prefix(_cluster) + "members"], [], CancellationToken.None);
        var reader = (await store.JoinAsync(new JoinRequest(Record("b"), "o-b"), CancellationToken.None)).Incarnation;
        var read = await ReadAsync(store, reader, default);
        await SetAgeAsync("a", TimeSpan.FromMinutes(1));

        await store.BeatAsync(new BeatRequest(NodeId.Parse("a"), a, "o-a", null, TimeSpan.FromSeconds(2), default), CancellationToken.None);

        Assert.Equal("a", Assert.Single((await ReadAsync(store, reader, read.Mark)).Members).Record.Id.Value);
    }

    [Fact]
    public async Task Changes_are_told_after_the_store_came_back_with_data_of_a_moment_ago()
    {
        await using var store = Connect();
        var a = (await store.JoinAsync(new JoinRequest(Record("a"), "o-a"), CancellationToken.None)).Incarnation;
        var mark = (await BeatAsync(store, a, default)).Mark;
        await _links[0].EvaluateAsync("return redis.call('HINCRBY', KEYS[1], 'version', -1000)", [ClusterKeys.Prefix(_cluster) + "meta"], [], CancellationToken.None);

        await Eventually.Holds(
            async () =>
            {
                await store.JoinAsync(new JoinRequest(Record("b"), "o-b"), CancellationToken.None);
                return (await BeatAsync(store, a, mark)).Members.Any(member => member.Record.Id.Value == "b");
            },
            "the join after it");
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

    private static async Task<BeatReply> ReadAsync(IMembershipStore store, long incarnation, StoreMark seen) =>
        await store.BeatAsync(new BeatRequest(NodeId.Parse("b"), incarnation, "o-b", null, TimeSpan.FromDays(1), seen), CancellationToken.None);

    private Task<RedisResult> LeaveAsync(ITransaction transaction, string id)
    {
        var prefix = ClusterKeys.Prefix(_cluster);
        return transaction.ScriptEvaluateAsync(
            MembershipScripts.Leave, [prefix + "members", prefix + "beats", prefix + "changes", prefix + "meta"], [id, 1, prefix + "news"]);
    }

    /// <summary>Members n0, n1 and so on, written as a join writes them.</summary>
    private Task AddAsync(int count) => _links[0].EvaluateAsync(
        """
        local time = redis.call('TIME')
        local stamp = string.format('%.0f', time[1] * 1000)
        for index = 0, tonumber(ARGV[1]) - 1 do
          local version = redis.call('HINCRBY', KEYS[4], 'version', 1)
          redis.call('HSET', KEYS[1], 'n' .. index, '1|o|0|0' .. stamp .. '|{"id":"n' .. index .. '"}')
          redis.call('ZADD', KEYS[2], stamp, 'n' .. index)
          redis.call('ZADD', KEYS[3], version, 'n' .. index)
        end
        """,
        [.. new[] { "members", "beats", "changes", "meta" }.Select(key => (RedisKey)(ClusterKeys.Prefix(_cluster) + key))], [count], CancellationToken.None);

    /// <summary>Commands that an action makes the server carry out, those of scripts among them.</summary>
    private async Task<long> CommandsOfAsync(Func<Task> action, string? command = null)
    {
        var multiplexer = await redis.ConnectDirectlyAsync();
        var server = multiplexer.GetServer(multiplexer.GetEndPoints()[0]);
        var before = await CountAsync();
        await action();
        return await CountAsync() - before;

        // What only membership's scripts use: clients ping and ask for INFO on their own.
        async Task<long> CountAsync() => (await server.InfoAsync("commandstats")).SelectMany(group => group)
            .Where(pair => command is not null ? pair.Key == command : pair.Key is "cmdstat_hget" or "cmdstat_hmget" or "cmdstat_hgetall" or "cmdstat_zscore" or "cmdstat_zrangebyscore" or "cmdstat_hvals")
            .Sum(pair => long.Parse(pair.Value.Split('=', ',')[1], CultureInfo.InvariantCulture));
    }
}
