using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.Remote.Redis.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Sequences;

namespace KvMesh.Remote.Tests.Sequences;

/// <summary>The Redis store keeps the contract, and a step costs the same however long the sequence is.</summary>
public sealed class RedisSequenceStoreTests(SequenceRedis redis) : SequenceStoreContract, IClassFixture<SequenceRedis>
{
    protected override Task<ISequenceStore> ConnectAsync() =>
        Task.FromResult<ISequenceStore>(new RedisSequenceStore(redis.Sequences, new RedisSequenceStoreOptions { Deadline = Eventually.Patience }, TimeProvider.System));

    [Fact]
    public async Task A_report_of_a_quota_costs_as_many_commands_beside_a_thousand_nodes_as_beside_one()
    {
        var store = await ConnectAsync();
        for (var node = 0; node < 2; node++)
        {
            await ReportAsync(store, $"n{node}", want: 1);
        }

        var few = await LeastAsync();
        for (var node = 2; node < 1_000; node++)
        {
            await ReportAsync(store, $"n{node}", want: 1);
        }

        Assert.Equal(few, await LeastAsync());

        // The least of some: once a minute all is added up anew.
        async Task<string> LeastAsync()
        {
            var rounds = new List<string>();
            for (var round = 0; round < 3; round++)
            {
                var before = await CommandsAsync();
                await ReportAsync(store, "n1", want: 1);
                var after = await CommandsAsync();
                rounds.Add(string.Join(' ', after.Select(pair => $"{pair.Key}={pair.Value - before.GetValueOrDefault(pair.Key)}").Where(text => !text.EndsWith("=0", StringComparison.Ordinal)).Order()));
            }

            return rounds.MinBy(text => text.Length)!;
        }
    }

    [Theory]
    [InlineData("redis.call('DEL', KEYS[1])", "held-until")]
    [InlineData("redis.call('DEL', KEYS[1])", "sums")]
    [InlineData("redis.call('HSET', KEYS[1], 'held_sequences', '-77', 'added_at', '0')", "sums")]
    [InlineData("redis.call('HSET', KEYS[1], 'held_sequences', '77', 'added_at', '9999999999999')", "sums")]
    public async Task Sums_of_what_nodes_hold_heal_when_they_were_lost_or_are_wrong(string damage, string key)
    {
        var store = await ConnectAsync();
        for (var node = 0; node < 4; node++)
        {
            Assert.Equal(20, (await ReportAsync(store, $"n{node}", need: 20)).Given.Sequences);
        }

        await redis.Connection.GetDatabase().ScriptEvaluateAsync(damage, [$"{new RedisSequenceStoreOptions().KeyPrefix}sequences{{{Id("").Tenant}}}:{key}"]);

        Assert.Equal(20, (await ReportAsync(store, "late", need: 100)).Given.Sequences);
    }

    private ValueTask<TenantShare> ReportAsync(ISequenceStore store, string node, long need = 0, long want = 0) => store.ReportAsync(
        new TenantReport(
            Id("").Tenant, node, [], new SequenceUsage(need, 0, 0), new SequenceUsage(want, 0, 0), new SequenceUsage(need > 0 ? 100 : 10_000, 100, 100), TimeSpan.FromMinutes(10),
            TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()),
        default);

    /// <summary>What only the books' script uses.</summary>
    private async Task<Dictionary<string, long>> CommandsAsync()
    {
        var text = (string?)await redis.Connection.GetDatabase().ExecuteAsync("INFO", "commandstats") ?? "";
        return text.Split('\n').Select(line => line.Split(':', 2)).Where(pair => pair.Length == 2 && (pair[0].StartsWith("cmdstat_h", StringComparison.Ordinal) || pair[0].StartsWith("cmdstat_z", StringComparison.Ordinal)))
            .ToDictionary(pair => pair[0], pair => long.Parse(pair[1].Split('=', ',')[1], System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task An_append_is_one_command_of_the_same_size_at_10_and_at_100_000_segments()
    {
        await using var host = await HostAsync("red", maxSegments: 1_000_000);
        var epoch = await OpenAsync(host, "chat");
        await AppendAsync(host, "chat", epoch, 0, 10);
        var early = await CostOfAppendsAsync(40);

        var store = await ConnectAsync();
        var head = (await store.ReadAsync(Id("chat"), default)).Head!;
        var from = head.Segments;
        var rows = Enumerable.Range(from, 100_000 - from).Select(row => new SegmentRow(
            (uint)row * 4, 4, (ulong)row * 64, 64, (ulong)row * 4000, 4000, SequenceCommands.Hash((row * 4) + 1), SequenceCommands.Hash((row * 4) + 4))).ToArray();
        for (var first = 0; first < rows.Length; first += 1000)
        {
            var part = rows.AsMemory(first, Math.Min(1000, rows.Length - first));
            var last = part.Span[^1];
            var next = head with
            {
                Version = head.Version + 1,
                Segments = head.Segments + part.Length,
                Blocks = last.EndBlock,
                Tokens = (long)last.StartToken + 64,
                Bytes = (long)last.StartByte + 4000,
                LastHash = last.LastHash,
            };
            var written = await store.WriteAsync(Id("chat"), new SequenceWrite(next, head.Version, head.Stamp, part, head.Segments, head.ExpiresAt, head.TouchedAt), default);
            Assert.Equal(StoreStatus.Ok, written.Status);
            head = next;
        }

        Assert.Equal(100_000, head.Segments);
        Ok(await host.ExecuteAsync(Id("chat"), SequenceCommands.Append(epoch, head.Blocks), default));
        var late = await CostOfAppendsAsync(head.Blocks + 4);

        // Ten steps each: one script call, its five commands inside, and nothing else; only digits of the counters grow.
        Assert.Equal(early.Calls, late.Calls);
        Assert.Equal(10, late.Calls);
        Assert.True(late.Bytes - early.Bytes <= 10 * 24, $"{early.Bytes} bytes at first, {late.Bytes} at last");
        Assert.InRange(late.Bytes, 10 * 300, 10 * 1200);

        // Finding a row in the middle and reading a page there take one command each, too.
        var found = await store.FindRowAsync(Id("chat"), head.RowsId, head.OwnSegments, 123_457, default);
        Assert.Equal(123_456u, found.Rows.Span[0].StartBlock);
        Assert.Equal(50, (await store.ReadRowsAsync(Id("chat"), head.RowsId, 70_000, 50, default)).Rows.Length);

        // The least of five, and of more where even that is too much: signs of life of the connections, and a report of the quota now and then, are no part of
        // a step, and where the disk is slow there is one in nearly every round.
        async Task<(long Calls, long Bytes)> CostOfAppendsAsync(long after)
        {
            var least = (Calls: long.MaxValue, Bytes: long.MaxValue);
            for (var round = 0; round < 5 || (least.Calls > 10 && round < 100); round++)
            {
                await redis.Connection.GetDatabase().ExecuteAsync("CONFIG", "RESETSTAT");
                var before = await InputAsync();
                await AppendAsync(host, "chat", epoch, after + (round * 40), 10);
                var bytes = await InputAsync() - before;
                var calls = (string?)await redis.Connection.GetDatabase().ExecuteAsync("INFO", "commandstats") ?? "";
                var scripts = calls.Split('\n').Where(line => line.StartsWith("cmdstat_eval", StringComparison.Ordinal)).Sum(CallsOf);
                least = (Math.Min(least.Calls, scripts), Math.Min(least.Bytes, bytes));
            }

            return least;
        }

        Task<long> InputAsync() => redis.FigureAsync("stats", "total_net_input_bytes");

        static long CallsOf(string line) => long.Parse(line.Split("calls=")[1].Split(',')[0], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task Keys_go_with_the_sequence()
    {
        await using var host = await HostAsync("red");
        var epoch = Ok(await host.ExecuteAsync(Id("chat"), SequenceCommands.Open() with { IdleLimit = TimeSpan.FromMinutes(5) }, default)).Epoch;
        await AppendAsync(host, "chat", epoch, 0, 2);
        var database = redis.Connection.GetDatabase();
        var head = $"kvmesh:sequence{{{Id("chat")}}}:head";
        Assert.InRange((await database.KeyTimeToLiveAsync(head))!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));
        var rows = (await (await ConnectAsync()).ReadAsync(Id("chat"), default)).Head!.RowsId;
        Assert.InRange((await database.KeyTimeToLiveAsync($"kvmesh:sequence{{{Id("chat")}}}:rows:{rows:x16}"))!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));
        Ok(await host.ExecuteAsync(Id("chat"), new CloseSequence(), default));
        Assert.False(await database.KeyExistsAsync($"kvmesh:sequence{{{Id("chat")}}}:rows:{rows:x16}"));
        Assert.InRange((await database.KeyTimeToLiveAsync(head))!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10));
    }

    [Fact]
    public async Task A_redis_that_forgot_the_scripts_is_told_them_again()
    {
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "chat");
        await AppendAsync(host, "chat", epoch, 0, 1);
        await redis.Connection.GetDatabase().ExecuteAsync("SCRIPT", "FLUSH");
        await AppendAsync(host, "chat", epoch, 4, 1);
    }

    [Fact]
    public async Task A_head_that_nobody_can_read_is_told_and_left_alone()
    {
        await using var host = await HostAsync("red");
        var key = $"kvmesh:sequence{{{Id("chat")}}}:head";
        await redis.Connection.GetDatabase().StringSetAsync(key, "from another planet, and long enough");
        var refused = await host.ExecuteAsync(Id("chat"), SequenceCommands.Open(), default);
        Assert.Equal(SequenceRefusal.Unavailable, refused.Refusal);
        Assert.Contains("format", refused.Text, StringComparison.Ordinal);
        Assert.Equal("from another planet, and long enough", (string?)await redis.Connection.GetDatabase().StringGetAsync(key));
    }
}
