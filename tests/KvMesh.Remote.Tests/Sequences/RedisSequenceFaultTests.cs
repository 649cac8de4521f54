using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using KvMesh.Remote.Redis.Sequences;
using KvMesh.TestKit;
using KvMesh.TestKit.Coordination;
using KvMesh.TestKit.Sequences;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace KvMesh.Remote.Tests.Sequences;

/// <summary>A Redis that dies, hangs and comes back: refusals in the meantime, nothing acknowledged is lost, and nobody has to help.</summary>
public sealed class RedisSequenceFaultTests
{
    private static readonly SequenceId Chat = new("tenant", "chat");

    [Fact]
    public async Task No_acknowledged_append_is_lost_when_redis_is_killed_and_restarted()
    {
        await using var redis = new SequenceRedis();
        await redis.InitializeAsync();
        using var store = Store(redis, TimeSpan.FromSeconds(2));
        await using var host = Host(store);
        var epoch = (await ReplyAsync(() => host.ExecuteAsync(Chat, SequenceCommands.Open(), default))).Epoch;
        long acknowledged = 0;
        var refusals = 0;
        using var stop = new CancellationTokenSource();
        var writer = Task.Run(async () =>
        {
            // As a client does: the same request again until it is known what became of it.
            for (ulong request = 1; !stop.IsCancellationRequested; request++)
            {
                var append = SequenceCommands.Append(epoch, Interlocked.Read(ref acknowledged), requestId: request);
                SequenceReply reply;
                while (!(reply = await host.ExecuteAsync(Chat, append, default)).IsOk)
                {
                    Assert.True(reply.Refusal == SequenceRefusal.Unavailable, $"{reply.Refusal}: {reply.Text}");
                    Interlocked.Increment(ref refusals);
                    await Task.Delay(20);
                }

                Interlocked.Exchange(ref acknowledged, reply.Info!.Blocks);
            }
        });

        await Eventually.Holds(() => Interlocked.Read(ref acknowledged) >= 200, "appends before the kill");
        await redis.KillAsync();
        await Eventually.Holds(() => Volatile.Read(ref refusals) > 0, "refusals while Redis is down");
        var atKill = Interlocked.Read(ref acknowledged);
        await redis.StartAsync();
        await Eventually.Holds(() => Interlocked.Read(ref acknowledged) >= atKill + 40, "appends after the restart");
        await stop.CancelAsync();
        await writer.Within("the end of the writer");

        var found = await ReplyAsync(() => host.FindAsync(Chat, default));
        Assert.Equal((Interlocked.Read(ref acknowledged), acknowledged / 4), (found.Blocks, found.Segments));
        for (var first = 0; first < found.Segments; first += 512)
        {
            SequenceRows page = default!;
            await Eventually.Holds(async () => (page = await host.ReadRowsAsync(Chat, first, 512, default)).Rows.Length == Math.Min(512, found.Segments - first), "a page of rows");
            Assert.All(page.Rows.ToArray().Select((row, index) => (row, index)), pair => Assert.Equal((uint)(first + pair.index) * 4, pair.row.StartBlock));
        }
    }

    [Fact]
    public async Task A_redis_that_hangs_costs_a_deadline_and_not_more()
    {
        await using var redis = new SequenceRedis();
        await redis.InitializeAsync();
        using var store = Store(redis, TimeSpan.FromMilliseconds(300));
        await using var host = Host(store);
        var opened = await ReplyAsync(() => host.ExecuteAsync(Chat, SequenceCommands.Open(), default));
        await redis.SignalAsync("STOP");
        try
        {
            var refused = await host.ExecuteAsync(Chat, SequenceCommands.Append(opened.Epoch, 0, requestId: 5), default).AsTask().Within("the refusal");
            Assert.Equal(SequenceRefusal.Unavailable, refused.Refusal);

            // Many callers: all are told, and after a run of failures without waiting for Redis at all.
            await Eventually.Holds(async () =>
            {
                var asked = Enumerable.Range(0, 16).Select(index => host.FindAsync(new SequenceId("tenant", $"other{index}"), default).AsTask());
                var replies = await Task.WhenAll(asked).Within("the refusals");
                Assert.All(replies, reply => Assert.Equal(SequenceRefusal.Unavailable, reply.Refusal));
                return replies.Any(reply => reply.Text.Contains("left alone", StringComparison.Ordinal));
            }, "a refusal that asks nobody");
        }
        finally
        {
            await redis.SignalAsync("CONT");
        }

        // The append that nobody waited for may have happened in the end; the same request id says so, and it happened once.
        SequenceReply reply = default;
        await Eventually.Holds(async () =>
        {
            reply = await host.ExecuteAsync(Chat, SequenceCommands.Append(opened.Epoch, 0, requestId: 5), default);
            return reply.IsOk;
        }, "an answer after Redis woke up");
        Assert.Equal((4, 1), (reply.Info!.Blocks, reply.Info.Segments));
    }

    [Fact]
    public async Task A_redis_without_memory_refuses_steps_and_keeps_what_it_has()
    {
        await using var redis = new SequenceRedis();
        await redis.InitializeAsync();
        using var store = Store(redis, Eventually.Patience);
        await using var host = Host(store);
        var opened = await ReplyAsync(() => host.ExecuteAsync(Chat, SequenceCommands.Open(), default));
        await redis.Connection.GetDatabase().ExecuteAsync("CONFIG", "SET", "maxmemory", "1");
        await redis.Connection.GetDatabase().ExecuteAsync("CONFIG", "SET", "maxmemory-policy", "noeviction");
        var refused = await host.ExecuteAsync(Chat, SequenceCommands.Append(opened.Epoch, 0, requestId: 9), default);
        Assert.Equal(SequenceRefusal.Unavailable, refused.Refusal);
        Assert.Contains("OOM", refused.Text, StringComparison.Ordinal);
        await redis.Connection.GetDatabase().ExecuteAsync("CONFIG", "SET", "maxmemory", "0");
        Assert.Equal(4, (await ReplyAsync(() => host.ExecuteAsync(Chat, SequenceCommands.Append(opened.Epoch, 0, requestId: 9), default))).Blocks);
    }

    [Fact]
    public async Task A_connection_whose_other_end_vanished_without_a_word_is_replaced()
    {
        await using var redis = new SequenceRedis();
        await redis.InitializeAsync();
        await using var proxy = new SwallowingProxy(redis.Port);
        var clock = new SimulatedClock();
        await using var connection = new RedisSequenceConnection($"127.0.0.1:{proxy.Port}", "test", clock);
        using var store = new RedisSequenceStore(
            connection, new RedisSequenceStoreOptions { Deadline = TimeSpan.FromSeconds(1) }, TimeProvider.System);
        await using var host = Host(store);
        await ReplyAsync(() => host.ExecuteAsync(Chat, SequenceCommands.Open(), default));

        proxy.Swallow();
        await Eventually.Holds(async () => (await host.FindAsync(Chat, default)).Refusal == SequenceRefusal.Unavailable, "a refusal");
        clock.Advance(RedisSequenceConnection.HangLimit * 2);
        await ReplyAsync(() => host.FindAsync(Chat, default));
    }

    [Fact]
    public async Task A_connection_is_replaced_also_when_the_client_says_at_once_that_there_is_none()
    {
        await using var redis = await RestartableRedis.StartAsync();
        var clock = new SimulatedClock();
        await using var connection = new RedisSequenceConnection(redis.Address, "test", clock);
        using var store = new RedisSequenceStore(connection, new RedisSequenceStoreOptions(), TimeProvider.System);
        await using var host = Host(store);
        await ReplyAsync(() => host.ExecuteAsync(Chat, SequenceCommands.Open(), default));
        await redis.KillAsync();
        await Eventually.Holds(async () => (await host.FindAsync(Chat, default)).Refusal == SequenceRefusal.Unavailable, "a refusal");
        Assert.Equal(1, connection.Openings);

        clock.Advance(RedisSequenceConnection.HangLimit * 2);
        await Eventually.Holds(async () =>
        {
            await host.FindAsync(Chat, default);
            return connection.Openings > 1;
        }, "another connection");

        await redis.RestartAsync(keepsData: false);
        await ReplyAsync(() => host.ExecuteAsync(Chat, SequenceCommands.Open(), default));
    }

    [Fact]
    public async Task A_redis_that_lost_steps_keeps_what_it_acknowledged_since()
    {
        await using var redis = new SequenceRedis();
        await redis.InitializeAsync();
        using var store = Store(redis, Eventually.Patience);
        await using var first = Host(store);
        await using var second = Host(store);
        var epoch = (await ReplyAsync(() => first.ExecuteAsync(Chat, SequenceCommands.Open(), default))).Epoch;
        await ReplyAsync(() => first.ExecuteAsync(Chat, SequenceCommands.Append(epoch, 0), default));
        var replica = await DumpAsync(redis);
        await ReplyAsync(() => first.ExecuteAsync(Chat, SequenceCommands.Append(epoch, 4), default));

        // A replica that had not heard of the last append takes over, and as many steps happen there; the first node has not looked.
        await RestoreAsync(redis, replica);
        var other = SequenceCommands.Append(epoch, 104) with { ParentHash = SequenceCommands.Hash(4) };
        await ReplyAsync(() => second.ExecuteAsync(Chat, other, default));

        var refused = await first.ExecuteAsync(Chat, SequenceCommands.Append(epoch, 8), default);
        Assert.Equal(SequenceRefusal.WrongParent, refused.Refusal);
        var found = await ReplyAsync(() => second.FindAsync(Chat, default));
        Assert.Equal((8L, other.LastHash), (found.Blocks, found.LastHash));
    }

    [Fact]
    public async Task A_node_whose_clock_is_ahead_ends_nothing_that_lives()
    {
        await using var redis = new SequenceRedis();
        await redis.InitializeAsync();
        using var store = Store(redis, Eventually.Patience);
        await using var right = Host(store);
        await using var ahead = new SequenceHost(
            store, new SequenceHostOptions { Node = "blue" }, new ShiftedClock(TimeSpan.FromHours(1)), NullLoggerFactory.Instance);
        var epoch = (await ReplyAsync(() => right.ExecuteAsync(Chat, SequenceCommands.Open() with { IdleLimit = TimeSpan.FromMinutes(10) }, default))).Epoch;
        await ReplyAsync(() => right.ExecuteAsync(Chat, SequenceCommands.Append(epoch, 0), default));
        var side = new SequenceId("tenant", "side");
        await ReplyAsync(() => right.ExecuteAsync(Chat, new ForkSequence { Target = "side", Blocks = 4, LastHash = SequenceCommands.Hash(4) }, default));
        await ReplyAsync(() => right.ExecuteAsync(Chat, new CloseSequence(), default));

        for (var round = 0; round < 3; round++)
        {
            await right.KeepUpAsync(isThorough: true, default);
            await ahead.KeepUpAsync(isThorough: true, default);
        }

        Assert.Equal(["side"], (await right.ListAsync("tenant", "", 10, default)).Sequences.Select(sequence => sequence.Name));
        Assert.Equal(1, (await right.ReadRowsAsync(side, 0, 10, default)).Rows.Length);
        Assert.Equal(1, (await right.ReadUsageAsync("tenant", default)).Used.Sequences);
    }

    private static async Task<List<(RedisKey Key, byte[] Value)>> DumpAsync(SequenceRedis redis)
    {
        var database = redis.Connection.GetDatabase();
        var dump = new List<(RedisKey, byte[])>();
        foreach (var key in (RedisKey[])(await database.ExecuteAsync("KEYS", "*"))!)
        {
            dump.Add((key, (await database.KeyDumpAsync(key))!));
        }

        return dump;
    }

    private static async Task RestoreAsync(SequenceRedis redis, List<(RedisKey Key, byte[] Value)> dump)
    {
        var database = redis.Connection.GetDatabase();
        await database.ExecuteAsync("FLUSHALL");
        foreach (var (key, value) in dump)
        {
            await database.KeyRestoreAsync(key, value, TimeSpan.FromHours(1));
        }
    }

    private static RedisSequenceStore Store(SequenceRedis redis, TimeSpan deadline) => new(redis.Sequences, new RedisSequenceStoreOptions { Deadline = deadline }, TimeProvider.System);

    private static SequenceHost Host(RedisSequenceStore store) => new(store, new SequenceHostOptions { Node = "red" }, TimeProvider.System, NullLoggerFactory.Instance);

    /// <summary>An answer from a Redis that is well, on a machine that may be slow.</summary>
    private static async Task<SequenceInfo> ReplyAsync(Func<ValueTask<SequenceReply>> ask)
    {
        SequenceReply reply = default;
        await Eventually.Holds(async () => (reply = await ask()).Refusal != SequenceRefusal.Unavailable, "an answer");
        Assert.True(reply.IsOk, $"{reply.Refusal}: {reply.Text}");
        return reply.Info!;
    }

    private sealed class ShiftedClock(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + by;
    }
}
