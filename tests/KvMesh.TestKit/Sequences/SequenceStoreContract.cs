using KvMesh.Cluster.Sequences;
using KvMesh.Protocol.Sequences;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.TestKit.Sequences;

/// <summary>What every store of sequences must do, through one or two hosts over it, as two nodes would be.</summary>
public abstract class SequenceStoreContract
{
    private static int _lastTenant;

    private readonly string _tenant = $"tenant-{Environment.ProcessId}-{Interlocked.Increment(ref _lastTenant)}";

    /// <summary>The store under test, shared by all hosts of a test. Another call may return another view of the same data.</summary>
    protected abstract Task<ISequenceStore> ConnectAsync();

    [Fact]
    public async Task What_one_node_appends_another_reads_in_pages()
    {
        await using var red = await HostAsync("red");
        await using var blue = await HostAsync("blue");
        var epoch = await OpenAsync(red, "chat");
        await AppendAsync(red, "chat", epoch, 0, 25);

        var found = Ok(await blue.FindAsync(Id("chat"), default));
        Assert.Equal((100, 1600, 100_000, 25), (found.Blocks, found.Tokens, found.Bytes, found.Segments));
        Assert.Equal(SequenceCommands.Hash(100), found.LastHash);

        var page = await blue.ReadRowsAsync(Id("chat"), 10, 7, default);
        Assert.Equal((25, 10, 7), (page.Total, page.First, page.Rows.Length));
        Assert.Equal([.. Enumerable.Range(10, 7).Select(row => (uint)row * 4)], page.Rows.ToArray().Select(row => row.StartBlock));
        Assert.Equal(1, (await blue.ReadRowsAsync(Id("chat"), 24, 7, default)).Rows.Length);
        Assert.True((await blue.ReadRowsAsync(Id("chat"), 25, 7, default)).Rows.IsEmpty);
    }

    [Fact]
    public async Task A_writer_that_lost_the_sequence_is_refused_by_its_epoch()
    {
        await using var red = await HostAsync("red");
        await using var blue = await HostAsync("blue");
        var first = await OpenAsync(red, "chat");
        await AppendAsync(red, "chat", first, 0, 2);
        var taken = Ok(await blue.ExecuteAsync(Id("chat"), new ResumeSequence { Holder = "blue" }, default));
        Assert.True(taken.Epoch > first);

        Assert.Equal(SequenceRefusal.StaleEpoch, (await red.ExecuteAsync(Id("chat"), SequenceCommands.Append(first, 8), default)).Refusal);
        Assert.Equal(12, Ok(await blue.ExecuteAsync(Id("chat"), SequenceCommands.Append(taken.Epoch, 8), default)).Blocks);
        Assert.Equal(SequenceRefusal.WrongParent, (await blue.ExecuteAsync(Id("chat"), SequenceCommands.Append(taken.Epoch, 8), default)).Refusal);
    }

    [Fact]
    public async Task Two_nodes_with_one_epoch_make_one_chain()
    {
        await using var red = await HostAsync("red");
        await using var blue = await HostAsync("blue");
        var epoch = await OpenAsync(red, "chat");
        var applied = await Task.WhenAll(GrowAsync(red), GrowAsync(blue));

        Assert.Equal(40, applied.Sum());
        Assert.Equal((40, 160), (Ok(await red.FindAsync(Id("chat"), default)).Segments, Ok(await blue.FindAsync(Id("chat"), default)).Blocks));
        var rows = (await red.ReadRowsAsync(Id("chat"), 0, 100, default)).Rows.ToArray();
        Assert.Equal([.. Enumerable.Range(0, 40).Select(row => (uint)row * 4)], rows.Select(row => row.StartBlock));

        async Task<int> GrowAsync(ISequenceHost host)
        {
            var count = 0;
            for (var after = 0; after < 160;)
            {
                var reply = await host.ExecuteAsync(Id("chat"), SequenceCommands.Append(epoch, after), default);
                if (reply.IsOk)
                {
                    count++;
                }
                else
                {
                    Assert.Contains(reply.Refusal, new[] { SequenceRefusal.WrongParent, SequenceRefusal.Busy });
                }

                after = (int)Ok(await host.FindAsync(Id("chat"), default)).Blocks;
            }

            return count;
        }
    }

    [Fact]
    public async Task A_command_that_is_sent_again_happens_once_whichever_node_gets_it()
    {
        await using var red = await HostAsync("red");
        await using var blue = await HostAsync("blue");
        var open = SequenceCommands.Open(requestId: 11);
        var opened = Ok(await red.ExecuteAsync(Id("chat"), open, default));
        var again = await blue.ExecuteAsync(Id("chat"), open, default);
        Assert.True(again.IsRepetition);
        Assert.Equal(opened.Epoch, again.Info!.Epoch);

        var append = SequenceCommands.Append(opened.Epoch, 0, requestId: 12);
        Ok(await red.ExecuteAsync(Id("chat"), append, default));
        var repeated = await blue.ExecuteAsync(Id("chat"), append, default);
        Assert.True(repeated is { IsOk: true, IsRepetition: true });
        Assert.Equal(4, repeated.Info!.Blocks);
    }

    [Fact]
    public async Task Commands_of_one_caller_take_effect_in_their_order()
    {
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "chat");
        var replies = await Task.WhenAll(Enumerable.Range(0, 50).Select(index => host.ExecuteAsync(Id("chat"), SequenceCommands.Append(epoch, index * 4), default).AsTask()));
        Assert.All(replies, reply => Assert.True(reply.IsOk, reply.Text));
    }

    [Fact]
    public async Task A_fork_shares_the_rows_of_its_origin_and_goes_on_alone()
    {
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "chat");
        await AppendAsync(host, "chat", epoch, 0, 5);

        var fork = Ok(await host.ExecuteAsync(Id("chat"), Fork("side", 10), default));
        Assert.Equal((10, 160, 10_000, 3), (fork.Blocks, fork.Tokens, fork.Bytes, fork.Segments));
        await AppendAsync(host, "side", fork.Epoch, 10, 2);
        await AppendAsync(host, "chat", epoch, 20, 1);

        // The page ends where the origin's rows end; the last of these is cut to the fork's place.
        var shared = (await host.ReadRowsAsync(Id("side"), 0, 100, default)).Rows.ToArray();
        Assert.Equal([4u, 4u, 2u], shared.Select(row => row.Blocks));
        Assert.Equal((SequenceCommands.Hash(10), 32u, 2000ul), (shared[2].LastHash, shared[2].Tokens, shared[2].Bytes));
        var own = (await host.ReadRowsAsync(Id("side"), 3, 100, default)).Rows.ToArray();
        Assert.Equal([10u, 14u], own.Select(row => row.StartBlock));
        Assert.Equal(6, (await host.ReadRowsAsync(Id("chat"), 0, 100, default)).Rows.Length);
    }

    [Fact]
    public async Task A_fork_may_be_stricter_than_its_origin_and_never_looser()
    {
        await using var red = await HostAsync("red");
        await using var blue = await HostAsync("blue");
        var epoch = await OpenAsync(red, "chat");
        await AppendAsync(red, "chat", epoch, 0, 2);
        Assert.True(Ok(await blue.ExecuteAsync(Id("chat"), Fork("strict", 8) with { LosslessOnly = true }, default)).LosslessOnly);
        Assert.False(Ok(await blue.FindAsync(Id("chat"), default)).LosslessOnly);
        Assert.True(Ok(await red.ExecuteAsync(Id("strict"), Fork("stricter", 4), default)).LosslessOnly);
        Assert.False(Ok(await red.ExecuteAsync(Id("chat"), Fork("loose", 4), default)).LosslessOnly);

        // Whoever takes it may make it so; nobody takes that back.
        Assert.True(Ok(await blue.ExecuteAsync(Id("chat"), SequenceCommands.Open() with { LosslessOnly = true }, default)).LosslessOnly);
        Assert.True(Ok(await red.ExecuteAsync(Id("chat"), SequenceCommands.Open(), default)).LosslessOnly);
        Assert.True(Ok(await blue.FindAsync(Id("chat"), default)).LosslessOnly);
    }

    [Fact]
    public async Task A_fork_of_a_fork_finds_every_row()
    {
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "a");
        await AppendAsync(host, "a", epoch, 0, 3);
        var second = Ok(await host.ExecuteAsync(Id("a"), Fork("b", 6), default));
        await AppendAsync(host, "b", second.Epoch, 6, 2);
        Ok(await host.ExecuteAsync(Id("b"), Fork("c", 5), default));
        Ok(await host.ExecuteAsync(Id("b"), Fork("d", 6), default));
        Ok(await host.ExecuteAsync(Id("b"), Fork("e", 12), default));

        Assert.Equal([(0u, 4u), (4u, 1u)], await RowsAsync(host, "c"));
        Assert.Equal([(0u, 4u), (4u, 2u)], await RowsAsync(host, "d"));
        Assert.Equal([(0u, 4u), (4u, 2u), (6u, 4u), (10u, 2u)], await RowsAsync(host, "e"));
    }

    [Fact]
    public async Task Shared_rows_outlive_their_origin_until_the_last_fork_ends()
    {
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "chat");
        await AppendAsync(host, "chat", epoch, 0, 3);
        Ok(await host.ExecuteAsync(Id("chat"), Fork("side", 12), default));
        Ok(await host.ExecuteAsync(Id("chat"), new CloseSequence { Epoch = epoch }, default));

        Assert.Equal([(0u, 4u), (4u, 4u), (8u, 4u)], await RowsAsync(host, "side"));
        Assert.Equal(SequenceRefusal.Closed, (await host.ExecuteAsync(Id("chat"), SequenceCommands.Open(), default)).Refusal);

        Ok(await host.ExecuteAsync(Id("side"), new CloseSequence(), default));
        Assert.True((await host.ReadRowsAsync(Id("chat"), 0, 10, default)).Rows.IsEmpty);
        Ok(await host.ExecuteAsync(Id("chat"), SequenceCommands.Open(), default));
    }

    [Fact]
    public async Task A_refused_fork_leaves_its_origin_as_it_was()
    {
        await using var host = await HostAsync("red");
        var epoch = await OpenAsync(host, "chat");
        await AppendAsync(host, "chat", epoch, 0, 2);
        await OpenAsync(host, "taken");

        Assert.Equal(SequenceRefusal.AlreadyExists, (await host.ExecuteAsync(Id("chat"), Fork("taken", 4) with { RequestId = 5 }, default)).Refusal);
        Assert.Equal(SequenceRefusal.AlreadyExists, (await host.ExecuteAsync(Id("chat"), Fork("taken", 4) with { RequestId = 5 }, default)).Refusal);
        Assert.Equal(SequenceRefusal.WrongBlock, (await host.ExecuteAsync(Id("chat"), Fork("side", 9), default)).Refusal);
        Assert.Equal(SequenceRefusal.WrongBlock, (await host.ExecuteAsync(Id("chat"), Fork("side", 4) with { LastHash = SequenceCommands.Hash(3) }, default)).Refusal);
        Assert.Equal(0, Ok(await host.FindAsync(Id("chat"), default)).Forks);
    }

    [Fact]
    public async Task Names_are_listed_in_order_and_in_pages()
    {
        await using var red = await HostAsync("red");
        await using var blue = await HostAsync("blue");
        foreach (var name in new[] { "e", "a", "c", "b", "d" })
        {
            await OpenAsync(red, name);
        }

        Ok(await red.ExecuteAsync(Id("c"), new CloseSequence(), default));
        var first = await blue.ListAsync(_tenant, "", 2, default);
        Assert.Equal(["a", "b"], first.Sequences.Select(info => info.Name));
        var second = await blue.ListAsync(_tenant, first.Next, 5, default);
        Assert.Equal(["d", "e"], second.Sequences.Select(info => info.Name));
        Assert.Equal("", second.Next);
        Assert.Empty((await blue.ListAsync(_tenant + "x", "", 5, default)).Sequences);
    }

    [Fact]
    public async Task The_last_of_a_quota_goes_to_one_of_two_nodes()
    {
        await using var red = await HostAsync("red", maxSequences: 20);
        await using var blue = await HostAsync("blue", maxSequences: 20);
        var replies = await Task.WhenAll(OpenManyAsync(red, "r"), OpenManyAsync(blue, "b"));
        var opened = replies.SelectMany(each => each).ToList();

        Assert.All(opened, reply => Assert.Contains(reply.Refusal, new[] { SequenceRefusal.None, SequenceRefusal.QuotaExceeded }));
        Assert.True(opened.Count(reply => reply.IsOk) <= 20, "more sequences were opened than the quota has");

        // What a node still holds comes back when it asks for nothing, and then the other can have the rest.
        await red.KeepUpAsync();
        await red.KeepUpAsync();
        await OpenManyAsync(blue, "again");
        Assert.Equal(20, (await red.ListAsync(_tenant, "", 100, default)).Sequences.Count);
        Assert.Equal(SequenceRefusal.QuotaExceeded, (await red.ExecuteAsync(Id("more"), SequenceCommands.Open(), default)).Refusal);

        // What ends makes room, for either.
        Ok(await blue.ExecuteAsync(Id((await red.ListAsync(_tenant, "", 1, default)).Sequences[0].Name), new CloseSequence(), default));
        Ok(await red.ExecuteAsync(Id("more"), SequenceCommands.Open(), default));

        async Task<List<SequenceReply>> OpenManyAsync(ISequenceHost host, string prefix)
        {
            var all = new List<SequenceReply>();
            for (var index = 0; index < 20; index++)
            {
                all.Add(await host.ExecuteAsync(Id($"{prefix}{index}"), SequenceCommands.Open(), default));
            }

            return all;
        }
    }

    [Fact]
    public async Task The_share_of_a_node_that_died_comes_back()
    {
        // It takes a share of everything and is never heard of again.
        await using var dead = await HostAsync("dead", maxSequences: 64, leaseTime: TimeSpan.FromSeconds(2));
        await OpenAsync(dead, "first");
        await using var red = await HostAsync("red", maxSequences: 64, leaseTime: TimeSpan.FromSeconds(60));
        var opened = 1;
        await Eventually.Holds(async () =>
        {
            while ((await red.ExecuteAsync(Id($"s{opened}"), SequenceCommands.Open(), default)).IsOk)
            {
                opened++;
            }

            Assert.True(opened <= 64, "more sequences were opened than the quota has");
            return opened == 64;
        }, "the dead node's share");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(20261122)]
    public async Task What_many_nodes_hold_and_what_is_used_is_never_more_than_the_quota(int seed)
    {
        var random = new Random(seed);
        var store = await ConnectAsync();
        var limit = new SequenceUsage(400, 4_000, 1_000_000);
        var (held, entries) = (new Dictionary<string, SequenceUsage>(), new Dictionary<string, SequenceEntry>());
        for (var step = 1; step <= 400; step++)
        {
            var node = $"node-{random.Next(30)}";
            List<SequenceEntry> changed = [];
            if (held.GetValueOrDefault(node) is { Sequences: > 0 } share)
            {
                // It spends some of what it holds on a sequence, or ends one.
                var name = $"s{random.Next(100)}";
                var before = entries.GetValueOrDefault(name).Usage;
                var usage = random.Next(4) == 0 ? default : new SequenceUsage(1, random.Next(10), random.Next(1_000));
                if ((usage - before).FitsInto(share))
                {
                    changed.Add(entries[name] = new SequenceEntry(name, step, usage, long.MaxValue / 4, SequenceOrigin.None));
                }
            }

            var want = random.Next(5) == 0 ? default : new SequenceUsage(random.Next(40), random.Next(400), random.Next(100_000));
            var reply = await store.ReportAsync(
                new TenantReport(_tenant, node, changed, default, want, limit, TimeSpan.FromMinutes(5), TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()), default);

            Assert.Equal(StoreStatus.Ok, reply.Status);
            held[node] = reply.Given;
            var used = entries.Values.Aggregate(default(SequenceUsage), (sum, entry) => sum + entry.Usage);
            var all = held.Values.Aggregate(used, (sum, share) => sum + share);
            Assert.Equal(used, reply.Used);
            Assert.True(all.FitsInto(limit), $"Seed {seed}, step {step}: {all} of {limit}.");
        }

        // What the others hold is taken from what one may have, and nothing else is.
        var others = held.Where(pair => pair.Key != "node-0").Aggregate(default(SequenceUsage), (sum, pair) => sum + pair.Value);
        var rest = await store.ReportAsync(
            new TenantReport(_tenant, "node-0", [], limit, default, limit, TimeSpan.FromMinutes(5), TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()), default);
        Assert.Equal(limit - rest.Used - others, rest.Given);
    }

    [Fact]
    public async Task Segments_and_pins_count_too()
    {
        await using var host = await HostAsync("red", maxSegments: 6, maxPinnedBytes: 10_000);
        var epoch = await OpenAsync(host, "chat");
        await AppendAsync(host, "chat", epoch, 0, 1);
        Assert.Equal(SequenceRefusal.QuotaExceeded, (await host.ExecuteAsync(Id("chat"), Pin(3), default)).Refusal);
        Ok(await host.ExecuteAsync(Id("chat"), Pin(2), default));
        await AppendAsync(host, "chat", epoch, 4, 5);
        var refused = await host.ExecuteAsync(Id("chat"), SequenceCommands.Append(epoch, 24), default);
        Assert.Equal(SequenceRefusal.QuotaExceeded, refused.Refusal);
        Assert.Contains("0 segments", refused.Text, StringComparison.Ordinal);

        await host.KeepUpAsync();
        Assert.Equal(new SequenceUsage(1, 6, 8_000), (await host.ReadUsageAsync(_tenant, default)).Used);
    }

    [Fact]
    public async Task A_sequence_that_nobody_uses_ends_by_itself()
    {
        await using var host = await HostAsync("red");
        using var events = host.Events.Listen();
        Ok(await host.ExecuteAsync(Id("brief"), SequenceCommands.Open() with { IdleLimit = TimeSpan.FromSeconds(1) }, default));
        var lasting = await OpenAsync(host, "lasting");
        var kinds = new List<SequenceEventKind>();
        await Eventually.Holds(async () =>
        {
            await host.KeepUpAsync();
            while (events.Reader.TryRead(out var news))
            {
                kinds.Add(news.Kind);
            }

            return kinds.Contains(SequenceEventKind.Expired)
                && (await host.FindAsync(Id("brief"), default)).Info is null or { State: SequenceState.Closed }
                && (await host.ListAsync(_tenant, "", 10, default)).Sequences.Count == 1
                && (await host.ReadUsageAsync(_tenant, default)).Used.Sequences == 1;
        }, "the end of the idle sequence");
        Ok(await host.ExecuteAsync(Id("lasting"), SequenceCommands.Append(lasting, 0), default));
        Ok(await host.ExecuteAsync(Id("brief"), SequenceCommands.Open(), default));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-2)]
    public async Task A_node_whose_clock_is_off_takes_a_sequence_that_lives_and_does_not_begin_it_anew(int hours)
    {
        await using var red = await HostAsync("red");
        var opened = Ok(await red.ExecuteAsync(Id("chat"), SequenceCommands.Open() with { IdleLimit = TimeSpan.FromHours(1) }, default));
        await AppendAsync(red, "chat", opened.Epoch, 0, 3);
        await using var off = new SequenceHost(
            await ConnectAsync(), new SequenceHostOptions { Node = "off" }, new ShiftedTime(TimeSpan.FromHours(hours)), NullLoggerFactory.Instance);

        var found = Ok(await off.ExecuteAsync(Id("chat"), SequenceCommands.Open() with { IdleLimit = TimeSpan.FromHours(1) }, default));

        Assert.Equal((12, 3), (found.Blocks, found.Segments));
        Assert.True(found.Epoch > opened.Epoch);
        await AppendAsync(off, "chat", found.Epoch, 12, 1);
        await off.KeepUpAsync(isThorough: true, default);
        Assert.Equal("chat", Assert.Single((await red.ListAsync(_tenant, "", 5, default)).Sequences).Name);
        Assert.Equal(16, Ok(await red.FindAsync(Id("chat"), default)).Blocks);
    }

    [Fact]
    public async Task A_head_of_a_later_version_keeps_what_this_one_does_not_know()
    {
        var store = await ConnectAsync();
        await using var host = await HostAsync("red");
        await OpenAsync(host, "chat");
        var stored = (await store.ReadAsync(Id("chat"), default)).Head!;
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        byte[] unknown = [100, 7];
        var written = await store.WriteAsync(
            Id("chat"), new SequenceWrite(stored with { Version = 2, Unknown = unknown }, 1, stored.Stamp, default, 0, stored.ExpiresAt, now), default);
        Assert.Equal(StoreStatus.Ok, written.Status);

        Ok(await host.ExecuteAsync(Id("chat"), new ResumeSequence(), default));
        Assert.Equal(unknown, (await store.ReadAsync(Id("chat"), default)).Head!.Unknown.ToArray());
    }

    [Fact]
    public async Task A_write_over_another_version_is_told_the_head_that_is_there()
    {
        var store = await ConnectAsync();
        await using var host = await HostAsync("red");
        await OpenAsync(host, "chat");
        var stored = (await store.ReadAsync(Id("chat"), default)).Head!;
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        foreach (var expected in new[] { 0L, 2, 3 })
        {
            var refused = await store.WriteAsync(Id("chat"), new SequenceWrite(stored with { Version = 9 }, expected, stored.Stamp, default, 0, stored.ExpiresAt, now), default);
            Assert.Equal((StoreStatus.Conflict, 1), (refused.Status, refused.Head!.Version));
        }

        // Another history that has come as far.
        var other = await store.WriteAsync(
            Id("chat"), new SequenceWrite(stored with { Version = 2 }, 1, stored.Stamp ^ 1, default, 0, stored.ExpiresAt, now), default);
        Assert.Equal((StoreStatus.Conflict, 1), (other.Status, other.Head!.Version));

        var none = await store.WriteAsync(Id("nothing"), new SequenceWrite(stored with { Version = 9 }, 8, stored.Stamp, default, 0, stored.ExpiresAt, now), default);
        Assert.Equal((StoreStatus.Conflict, null), (none.Status, none.Head));
    }

    protected static SequenceInfo Ok(SequenceReply reply)
    {
        Assert.True(reply.IsOk, $"{reply.Refusal}: {reply.Text}");
        return reply.Info!;
    }

    protected static ForkSequence Fork(string target, long blocks) => new() { Target = target, Blocks = blocks, LastHash = SequenceCommands.Hash(blocks) };

    protected SequenceId Id(string name) => new(_tenant, name);

    protected async Task<TestHost> HostAsync(
        string node, long maxSequences = 1000, long maxSegments = 100_000, long maxPinnedBytes = 1 << 30, TimeSpan? leaseTime = null) =>
        new(await ConnectAsync(), new SequenceHostOptions
        {
            Node = node,
            TenantLimit = new SequenceUsage(maxSequences, maxSegments, maxPinnedBytes),
            ShareSize = new SequenceUsage(Math.Min(16, maxSequences), Math.Min(64, maxSegments), maxPinnedBytes / 16),
            LeaseTime = leaseTime ?? TimeSpan.FromSeconds(60),
            EndSlack = TimeSpan.Zero,
        });

    protected async Task<long> OpenAsync(ISequenceHost host, string name) => Ok(await host.ExecuteAsync(Id(name), SequenceCommands.Open(), default)).Epoch;

    protected async Task AppendAsync(ISequenceHost host, string name, long epoch, long after, int runs)
    {
        for (var run = 0; run < runs; run++)
        {
            Ok(await host.ExecuteAsync(Id(name), SequenceCommands.Append(epoch, after + (run * 4)), default));
        }
    }

    private static PinSequence Pin(int replicas) => new() { Replicas = replicas, Until = long.MaxValue };

    private async Task<List<(uint Start, uint Blocks)>> RowsAsync(ISequenceHost host, string name)
    {
        var all = new List<(uint, uint)>();
        while (true)
        {
            var page = await host.ReadRowsAsync(Id(name), all.Count, 100, default);
            Assert.True(page.Refusal == SequenceRefusal.None, page.Text);
            all.AddRange(page.Rows.ToArray().Select(row => (row.StartBlock, row.Blocks)));
            if (all.Count == page.Total)
            {
                return all;
            }

            Assert.False(page.Rows.IsEmpty, $"row {all.Count} of {page.Total} is missing");
        }
    }

    /// <summary>A clock that is off by some time and goes as fast as any.</summary>
    private sealed class ShiftedTime(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
    }

    /// <summary>A host whose upkeep runs when the test says so.</summary>
    protected sealed class TestHost(ISequenceStore store, SequenceHostOptions options) : ISequenceHost, IAsyncDisposable
    {
        private readonly SequenceHost _host = new(store, options, TimeProvider.System, NullLoggerFactory.Instance);

        public SequenceEventFeed Events => _host.Events;

        public Task KeepUpAsync() => _host.KeepUpAsync(isThorough: true, default);

        public ValueTask<SequenceReply> ExecuteAsync(SequenceId id, SequenceCommand command, CancellationToken cancellationToken) => _host.ExecuteAsync(id, command, cancellationToken);

        public ValueTask<SequenceReply> FindAsync(SequenceId id, CancellationToken cancellationToken) => _host.FindAsync(id, cancellationToken);

        public ValueTask<SequenceRows> ReadRowsAsync(SequenceId id, int first, int count, CancellationToken cancellationToken) => _host.ReadRowsAsync(id, first, count, cancellationToken);

        public ValueTask<SequencePage> ListAsync(string tenant, string after, int count, CancellationToken cancellationToken) => _host.ListAsync(tenant, after, count, cancellationToken);

        public ValueTask<TenantShare> ReadUsageAsync(string tenant, CancellationToken cancellationToken) => _host.ReadUsageAsync(tenant, cancellationToken);

        public ValueTask DisposeAsync() => _host.DisposeAsync();
    }
}
