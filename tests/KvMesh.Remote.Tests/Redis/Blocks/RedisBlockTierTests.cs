using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.FarTiers;
using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>The contract of far tiers on a real redis-server over TCP; another node wrote the blocks.</summary>
public class RedisBlockTierTests : BlockTierContract, IAsyncLifetime
{
    private RedisServer _server = null!;
    private TierNode _origin = null!;
    private TierNode _here = null!;

    protected override IBlockTier Tier => _here.Tier;

    public async Task InitializeAsync()
    {
        _server = await RedisServer.StartAsync();
        _origin = new TierNode($"127.0.0.1:{_server.Port}", coder: Coder());
        _here = new TierNode($"127.0.0.1:{_server.Port}", coder: Coder());
    }

    private protected virtual IPayloadCoder? Coder() => null;

    public async Task DisposeAsync()
    {
        _origin.Dispose();
        _here.Dispose();
        await _server.DisposeAsync();
    }

    protected override void Store(byte[] key, byte[] payload, byte[]? parent = null) => Assert.True(_origin.Store(key, payload, parent));
}

/// <summary>What this tier does beyond the contract, on a real redis-server.</summary>
public sealed class RedisBlockTierBehaviourTests : IAsyncLifetime
{
    private const int TwoParts = 9 << 20;

    private TierServer _server = null!;

    public async Task InitializeAsync() => _server = await TierServer.StartAsync();

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Blocks_carry_a_time_to_live_and_one_hash_tag()
    {
        using var node = new TierNode(_server.Address, options => options.Prefix = "p", cluster: "c");
        Assert.True(node.Store(TierNode.Key(1), TestBytes.Payload(1, TwoParts)));

        var keys = (await _server.KeysAsync()).Where(key => !key.Contains("scopes", StringComparison.Ordinal)).ToArray();
        Assert.Equal(2, keys.Length);
        var tag = keys[0][..keys[0].IndexOf('}', StringComparison.Ordinal)];
        Assert.StartsWith("p:c:{", tag, StringComparison.Ordinal);
        foreach (var key in keys)
        {
            Assert.StartsWith(tag, key, StringComparison.Ordinal);
            Assert.True(int.Parse(await _server.AskAsync("PTTL", key)) > 0, $"{key} lives for ever");
            Assert.InRange(int.Parse(await _server.AskAsync("STRLEN", key)), 1, 8 << 20);
        }
    }

    [Fact]
    public async Task Only_what_is_wanted_is_kept()
    {
        using var node = new TierNode(_server.Address);
        Assert.False(node.Store(TierNode.Key(1), [1], isWanted: false));
        Assert.Empty(await _server.KeysAsync());
        Assert.Equal(1, node.Metrics.Skipped);

        Assert.True(node.Offer(TierNode.Key(1)));
        Assert.Equal(1, node.Metrics.Written);
        Assert.NotEmpty(await _server.KeysAsync());
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(TwoParts)]
    public async Task What_is_there_is_renewed_and_not_written_again(int bytes)
    {
        using var first = new TierNode(_server.Address, options => options.TimeToLive = TimeSpan.FromHours(1));
        using var second = new TierNode(_server.Address, options => options.TimeToLive = TimeSpan.FromHours(100));
        var payload = TestBytes.Payload(1, bytes);
        Assert.True(first.Store(TierNode.Key(1), payload));
        var before = await _server.KeysAsync();
        Assert.True(second.Store(TierNode.Key(1), payload));

        Assert.Equal((0L, 1L), (second.Metrics.Written, second.Metrics.Renewed));
        Assert.Equal(before, await _server.KeysAsync());
        foreach (var key in before.Where(key => !key.Contains("scopes", StringComparison.Ordinal)))
        {
            Assert.True(long.Parse(await _server.AskAsync("TTL", key)) > 2 * 3600, $"{key} was not renewed");
        }
    }

    [Fact]
    public async Task Of_many_writers_one_wins_and_leaves_no_rest()
    {
        var nodes = Enumerable.Range(0, 4).Select(_ => new TierNode(_server.Address)).ToArray();
        var payload = TestBytes.Payload(1, TwoParts);
        using var start = new Barrier(nodes.Length);
        var stored = nodes.Select(node => Eventually.Run(() =>
        {
            start.SignalAndWait(Eventually.Patience);
            return node.Store(TierNode.Key(1), payload);
        })).ToArray();

        Assert.All(await Task.WhenAll(stored).Within("all stored"), Assert.True);
        Assert.Equal(1, nodes.Sum(node => node.Metrics.Written));
        Assert.Equal(3, (await _server.KeysAsync()).Length);
        using (var reader = new TierNode(_server.Address))
        {
            Assert.Equal(payload, reader.Read(TierNode.Key(1)));
        }

        Assert.All(nodes, node => node.Dispose());
    }

    [Fact]
    public void A_pair_comes_back_as_a_pair()
    {
        using var first = new TierNode(_server.Address);
        using var second = new TierNode(_server.Address);
        var payload = TestBytes.Payload(1, 1000);
        first.Test.Put("main"u8, payload, BlockTraits.Content("m", "", default));
        first.Test.Put("small"u8, [7], new BlockTraits { IsContent = true, Model = "m", Revision = "", CompanionOf = "main"u8 });
        Assert.True(first.Offer("main"u8.ToArray()));
        Assert.True(first.Offer("small"u8.ToArray()));

        Assert.Equal([7], second.Read("small"u8.ToArray()));
        Assert.Equal(payload, second.Test.Get("main"u8));
    }

    [Fact]
    public void Tenants_do_not_see_each_other()
    {
        static void TwoTenants(EngineOptions engine)
        {
            engine.Tenants.Add(new TenantOptions { Name = "blue" });
            engine.Tenants.Add(new TenantOptions { Name = "red" });
        }

        using var first = new TierNode(_server.Address, configureEngine: TwoTenants);
        using var second = new TierNode(_server.Address, configureEngine: TwoTenants);
        Assert.True(first.Store(TierNode.Key(1), [1], tenant: first.Engine.Tenants.Find("blue")));

        Assert.Null(second.Read(TierNode.Key(1), second.Engine.Tenants.Find("red")));
        Assert.Equal([1], second.Read(TierNode.Key(1), second.Engine.Tenants.Find("blue")));
    }

    [Fact]
    public async Task A_removed_block_goes_from_Redis_too()
    {
        using var first = new TierNode(_server.Address);
        using var second = new TierNode(_server.Address);
        Assert.True(first.Store(TierNode.Key(1), TestBytes.Payload(1, TwoParts)));
        Assert.True(second.Exists(TierNode.Key(1)));

        Assert.True(first.Engine.Remove(first.Tenant, TierNode.Key(1)));

        Assert.False(first.Exists(TierNode.Key(1)));
        await Eventually.Holds(() => first.Metrics.Removed == 1, "Redis was told");
        Assert.Single(await _server.KeysAsync());
        Assert.Null(second.Read(TierNode.Key(1)));
        Assert.True(first.Store(TierNode.Key(1), [2]));
        Assert.Equal([2], second.Read(TierNode.Key(1)));
    }

    [Theory]
    [InlineData(null, null, true)]
    [InlineData("model", null, true)]
    [InlineData(null, "1", true)]
    [InlineData("model", "1", true)]
    [InlineData("other", null, false)]
    [InlineData("model", "2", false)]
    public async Task A_purge_makes_copies_void_on_every_node(string? model, string? revision, bool isVoid)
    {
        using var first = new TierNode(_server.Address);
        using var second = new TierNode(_server.Address);
        Assert.True(first.Store(TierNode.Key(1), [1]));

        first.Engine.Purge(first.Tenant, model, revision);
        await Eventually.Holds(() => first.Tier.Pending == 0, "Redis was told");

        Assert.Equal(isVoid, second.Read(TierNode.Key(1)) is null);
        await Eventually.Holds(() => second.Tier.Pending == 0, "the void copy went");
        Assert.True(first.Store(TierNode.Key(1), [2]));
        Assert.Equal(isVoid ? 2 : 1, Assert.Single(second.Read(TierNode.Key(1))!));
    }

    [Fact]
    public async Task Purged_blocks_stay_void_when_Redis_forgets_the_purge()
    {
        using var first = new TierNode(_server.Address);
        using var second = new TierNode(_server.Address);
        Assert.True(first.Store(TierNode.Key(1), [1]));
        Assert.True(first.Store(TierNode.Key(2), [2]));
        first.Engine.Purge(first.Tenant, "model", null);
        await Eventually.Holds(() => first.Tier.Pending == 0, "Redis was told");
        await _server.AskAsync("DEL", (await _server.KeysAsync()).Single(key => key.Contains("scopes", StringComparison.Ordinal)));

        Assert.Null(second.Read(TierNode.Key(1)));
        await Eventually.Holds(() => second.Tier.Pending == 0, "the void copy went");
        Assert.True(first.Store(TierNode.Key(3), [3]));
        Assert.Null(second.Read(TierNode.Key(2)));
        Assert.Equal([3], second.Read(TierNode.Key(3)));
    }

    [Theory]
    [InlineData(20)]
    [InlineData(70)]
    [InlineData(1000)]
    [InlineData(TwoParts - 100)]
    public async Task Wrong_bytes_are_a_miss_and_go(int offset)
    {
        using var first = new TierNode(_server.Address);
        using var second = new TierNode(_server.Address);
        Assert.True(first.Store(TierNode.Key(1), TestBytes.Payload(1, TwoParts)));
        var keys = (await _server.KeysAsync()).Where(key => !key.Contains("scopes", StringComparison.Ordinal)).ToArray();
        var head = keys.Single(key => key.EndsWith("}:0", StringComparison.Ordinal));
        var isPart = offset > 8 << 20;
        await _server.AskAsync("SETRANGE", isPart ? keys.Single(key => key != head) : head, (isPart ? 500 : offset).ToString(), "wrong");

        Assert.Null(second.Read(TierNode.Key(1)));

        Assert.Equal(1, second.Metrics.Mismatches + second.Metrics.Malformed + second.Metrics.Misses);
        await Eventually.Holds(async () => second.Metrics.Misses == 1 || (await _server.AskAsync("EXISTS", head)) == "0", "it went");
        Assert.True(second.Tier.IsUp);
    }

    [Fact]
    public async Task A_block_that_lost_a_part_is_a_miss_and_is_written_again()
    {
        using var first = new TierNode(_server.Address);
        using var second = new TierNode(_server.Address);
        var payload = TestBytes.Payload(1, TwoParts);
        Assert.True(first.Store(TierNode.Key(1), payload));
        await _server.AskAsync("DEL", (await _server.KeysAsync()).Single(key => key.Contains("}:1:", StringComparison.Ordinal)));

        Assert.True(first.Offer(TierNode.Key(1)));
        Assert.Equal(payload, second.Read(TierNode.Key(1)));

        using var third = new TierNode(_server.Address);
        await _server.AskAsync("DEL", (await _server.KeysAsync()).Single(key => key.Contains("}:1:", StringComparison.Ordinal)));
        Assert.Null(third.Read(TierNode.Key(1)));
        Assert.Equal(1, third.Metrics.Incomplete);
        await Eventually.Holds(async () => (await _server.KeysAsync()).Length == 1, "the rest went");
    }

    [Fact]
    public async Task What_somebody_else_wrote_there_is_a_miss()
    {
        using var node = new TierNode(_server.Address);
        Assert.True(node.Store(TierNode.Key(1), [1]));
        var head = (await _server.KeysAsync()).Single(key => key.EndsWith("}:0", StringComparison.Ordinal));
        await _server.AskAsync("SET", head, "somebody else's text");
        using var second = new TierNode(_server.Address);

        Assert.Null(second.Read(TierNode.Key(1)));
        Assert.Equal(1, second.Metrics.Malformed);
        await Eventually.Holds(async () => (await _server.AskAsync("EXISTS", head)) == "0", "it went");
    }

    [Fact]
    public void A_long_prefix_costs_one_round_for_each_32_blocks()
    {
        using var first = new TierNode(_server.Address);
        using var second = new TierNode(_server.Address);
        for (var index = 0; index < 70; index++)
        {
            Assert.True(first.Store(TierNode.Key(1, index), [1]));
        }

        Assert.Equal(70, second.Match(1, 100));
        Assert.InRange(second.Metrics.Rounds, 3, 4);
        Assert.Equal(0, second.Match(2, 100));
    }

    [Fact]
    public async Task A_new_expiry_gives_up_the_copy_and_the_block_may_be_copied_again()
    {
        using var node = new TierNode(_server.Address);
        Assert.True(node.Store(TierNode.Key(1), [1]));
        var later = TimeProvider.System.GetUtcNow().AddHours(1).ToUnixTimeMilliseconds();

        Assert.True(node.Engine.SetExpiry(node.Tenant, TierNode.Key(1), later));
        await Eventually.Holds(() => node.Tier.Pending == 0, "Redis was told");
        Assert.Single(await _server.KeysAsync());

        Assert.True(node.Offer(TierNode.Key(1)));
        using var second = new TierNode(_server.Address);
        Assert.Equal([1], second.Read(TierNode.Key(1)));
        Assert.True(second.Engine.TryInspect(second.Tenant, TierNode.Key(1), out var info));
        Assert.Equal(later, info.ExpiresAt);
    }

    [Fact]
    public void A_block_keeps_its_expiry()
    {
        using var node = new TierNode(_server.Address);
        var later = TimeProvider.System.GetUtcNow().AddHours(1).ToUnixTimeMilliseconds();
        node.Test.Put(TierNode.Key(1), [1], BlockTraits.Content("model", "1", default), new SealOptions { ExpiresAt = later });
        Assert.True(node.Offer(TierNode.Key(1)));

        using var second = new TierNode(_server.Address);
        Assert.Equal([1], second.Read(TierNode.Key(1)));
        Assert.True(second.Engine.TryInspect(second.Tenant, TierNode.Key(1), out var info));
        Assert.Equal(later, info.ExpiresAt);
    }
}
