using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol;
using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Engine.Tests.FarTiers;

public sealed class FarTierTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public void Wrong_bytes_never_leave_and_are_counted()
    {
        var tier = new MemoryTier { Corrupt = bytes => bytes[70_000] ^= 1 };
        using var engine = Open(tier);
        tier.StoreContent("key"u8, TestBytes.Payload(1, 200_000));

        Assert.Null(Read(engine, "key"u8));

        Assert.False(engine.Engine.TryInspect(engine.Tenant, "key"u8, out _));
        var figures = Figures(engine);
        Assert.Equal((0, 1, 1), (figures.Hits, figures.Failures, figures.Mismatches));
        Assert.Equal(0, engine.Engine.Snapshot().Arenas.Sum(arena => arena.AllocatedBytes));
    }

    [Fact]
    public void The_next_tier_is_asked_when_one_gives_wrong_bytes()
    {
        var wrong = new MemoryTier("wrong") { Corrupt = bytes => bytes[0] ^= 1 };
        var right = new MemoryTier("right");
        using var engine = Open(wrong, right);
        var payload = TestBytes.Payload(1, 1000);
        wrong.StoreContent("key"u8, payload);
        right.StoreContent("key"u8, payload);

        Assert.Equal(payload, Read(engine, "key"u8));
        Assert.Equal(["wrong", "right"], engine.Engine.Snapshot().FarTiers.Select(tier => tier.Name));
        Assert.Equal([0L, 1L], engine.Engine.Snapshot().FarTiers.Select(tier => tier.Hits));
    }

    [Fact]
    public void A_block_that_is_not_all_there_is_a_miss()
    {
        var tier = new PartialTier();
        using var engine = Open(tier);

        Assert.Null(Read(engine, "key"u8));
        Assert.Equal(1, Figures(engine).Failures);
    }

    [Fact]
    public void A_wrong_belief_is_a_miss_and_counted_as_false()
    {
        var tier = new MemoryTier { BelievesAnything = true };
        using var engine = Open(tier);

        Assert.True(engine.Engine.ExistsAnywhere(engine.Tenant, "key"u8, engine.Leases, TimeSpan.FromSeconds(1)));
        Assert.Null(Read(engine, "key"u8));
        Assert.Equal((1, 1), (Figures(engine).Misses, Figures(engine).FalseHits));
    }

    [Fact]
    public void What_is_no_content_is_not_taken()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.Store(Tenant.DefaultName, "key"u8, [1, 2, 3], BlockTraits.Opaque);

        Assert.Null(Read(engine, "key"u8));
    }

    [Fact]
    public void A_read_here_never_asks_other_tiers()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.StoreContent("key"u8, [1, 2, 3]);

        Assert.Null(engine.Get("key"u8));
        Assert.False(engine.Engine.TryReadForPeer(engine.Tenant, "key"u8, out _));
        Assert.False(engine.Engine.Exists(engine.Tenant, "key"u8, engine.Leases, TimeSpan.Zero));
        Assert.Equal(0, tier.Fetches);
    }

    [Fact]
    public void A_peer_reads_content_only()
    {
        using var engine = Open(new MemoryTier());
        engine.PutContent("content"u8, [1, 2, 3]);
        engine.Put("opaque"u8, [1, 2, 3], BlockTraits.Opaque);

        Assert.False(engine.Engine.TryReadForPeer(engine.Tenant, "opaque"u8, out _));
        Assert.True(engine.Engine.TryReadForPeer(engine.Tenant, "content"u8, out var read));
        Assert.Equal((3, "model"), (read.Origin.PayloadBytes, read.Origin.Traits.Model));
        read.Dispose();
        Assert.Equal(0, engine.Engine.Snapshot().Traffic.Reads);
    }

    [Fact]
    public async Task Of_many_readers_one_fetches_and_all_get_the_block()
    {
        const int Readers = 8;
        using var others = new Barrier(Readers);
        var tier = new MemoryTier();
        using var engine = Open(tier);
        var payload = TestBytes.Payload(1, 100_000);
        tier.StoreContent("key"u8, payload);
        using var release = new ManualResetEventSlim();
        tier.BeforeBytes = _ => release.Wait(Patience);

        var reads = Enumerable.Range(0, Readers).Select(_ => Task.Factory.StartNew(
            () =>
            {
                others.SignalAndWait(Patience);
                return Read(engine, "key"u8);
            },
            TaskCreationOptions.LongRunning)).ToArray();
        Assert.True(SpinWait.SpinUntil(() => tier.Fetches == 1, Patience), "nobody fetched");
        release.Set();

        Assert.All(await Task.WhenAll(reads).WaitAsync(Patience), read => Assert.Equal(payload, read));
        Assert.Equal(1, tier.Fetches);
        Assert.Equal((Readers, Readers), ((int)engine.Engine.Snapshot().Traffic.Reads, (int)engine.Engine.Snapshot().Traffic.ReadHits));
    }

    [Fact]
    public void A_late_block_is_a_miss()
    {
        var clock = new SimulatedClock();
        var tier = new MemoryTier();
        using var engine = Open(clock, tier);
        tier.StoreContent("key"u8, [1, 2, 3]);
        var remaining = new List<TimeSpan>();
        tier.BeforeBytes = intake =>
        {
            remaining.Add(intake.Remaining);
            intake.Expect(128 << 20);
            remaining.Add(intake.Remaining);
            clock.Advance(TimeSpan.FromHours(1));
            remaining.Add(intake.Remaining);
        };

        Read(engine, "key"u8);

        Assert.Equal([TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(2), TimeSpan.Zero], remaining);
    }

    [Fact]
    public void A_companion_brings_its_block_along()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        var main = TestBytes.Payload(1, 100_000);
        tier.Store(Tenant.DefaultName, "a@kv_bytes"u8, main, BlockTraits.Content("m", "", default));
        tier.Store(Tenant.DefaultName, "a@metadata"u8, [1, 2, 3], Companion("a@kv_bytes"u8));

        Assert.Equal([1, 2, 3], Read(engine, "a@metadata"u8)!);
        Assert.Equal(main, engine.Get("a@kv_bytes"u8));
        Assert.Equal([1, 2, 3], engine.Get("a@metadata"u8)!);
    }

    [Fact]
    public void A_companion_whose_block_is_nowhere_is_a_miss()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.Store(Tenant.DefaultName, "a@metadata"u8, [1, 2, 3], Companion("a@kv_bytes"u8));

        Assert.Null(Read(engine, "a@metadata"u8));
        Assert.Null(engine.Get("a@metadata"u8));
    }

    [Fact]
    public void A_tail_without_its_parents_tears_no_hole()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.StoreContent("b2"u8, [2], "b1"u8);
        tier.StoreContent("b3"u8, [3], "b2"u8);

        Assert.NotNull(Read(engine, "b2"u8));
        Assert.NotNull(Read(engine, "b3"u8));

        Assert.Equal(0, engine.Engine.Snapshot().Tenants[0].Holes);
        Assert.True(engine.Engine.TryRead(engine.Tenant, "b3"u8, ReadIntent.Inspect, out var read));
        Assert.True(read.Origin.Traits.ParentKey.SequenceEqual("b2"u8));
        read.Dispose();
    }

    [Fact]
    public void Blocks_of_a_chain_that_come_in_any_order_are_one_chain()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.StoreContent("b1"u8, [1], default);
        tier.StoreContent("b2"u8, [2], "b1"u8);
        tier.StoreContent("b3"u8, [3], "b2"u8);
        tier.StoreContent("b4"u8, [4], "b3"u8);

        Assert.NotNull(Read(engine, "b4"u8));
        Assert.NotNull(Read(engine, "b2"u8));
        Assert.NotNull(Read(engine, "b1"u8));
        Assert.Equal("b4", Chain(engine, "b4"u8));
        Assert.Equal("b1 b2", Chain(engine, "b2"u8));

        Assert.NotNull(Read(engine, "b3"u8));
        Assert.Equal("b1 b2 b3 b4", Chain(engine, "b4"u8));
    }

    [Fact]
    public async Task An_order_that_names_the_parent_links_what_its_origin_had_without_one()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.StoreContent("b1"u8, [1], default);
        tier.StoreContent("b2"u8, [2], default);
        tier.StoreContent("b3"u8, [3], default);
        Assert.NotNull(Read(engine, "b3"u8));

        await OrderAsync(engine, "b1", "");
        await OrderAsync(engine, "b2", "b1");
        Assert.Equal("b1 b2", Chain(engine, "b2"u8));
        Assert.Equal("b3", Chain(engine, "b3"u8));

        Assert.Equal(FetchOrderResult.AlreadyHere, await OrderAsync(engine, "b3", "b2"));
        Assert.Equal("b1 b2 b3", Chain(engine, "b3"u8));
    }

    [Fact]
    public async Task An_order_links_what_a_reader_brings_at_the_same_time()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.StoreContent("1"u8, [1]);
        tier.StoreContent("2"u8, [2]);
        Assert.Equal([1], Read(engine, "1"u8)!);
        using var release = new ManualResetEventSlim();
        tier.BeforeBytes = _ => release.Wait(Patience);
        var reading = Eventually.Run(() => Read(engine, "2"u8));
        await Eventually.Holds(() => tier.Fetches == 2, "the fetch of a reader");

        var ordered = OrderAsync(engine, "2", parent: "1");
        release.Set();

        Assert.Equal([2], (await reading.Within("the end of the read"))!);
        Assert.NotEqual(FetchOrderResult.NotFetched, await ordered);
        Assert.Equal("1 2", Chain(engine, "2"u8));
    }

    [Fact]
    public void What_came_and_was_not_asked_for_again_leaves_first()
    {
        var tier = new MemoryTier();
        using var engine = new TestEngine(options =>
        {
            options.MaxResidentBlocks = 8;
            options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Patience;
        });
        engine.Engine.AttachTier(tier);
        tier.StoreContent("far"u8, TestBytes.Payload(1, 1000));
        for (var index = 0; index < 7; index++)
        {
            engine.PutContent(TestBytes.Hash(1, index), TestBytes.Payload(index, 1000));
        }

        Assert.NotNull(Read(engine, "far"u8));
        engine.PutContent("one more"u8, [1]);

        Assert.Null(engine.Get("far"u8));
        Assert.NotNull(engine.Get(TestBytes.Hash(1, 0)));
    }

    [Fact]
    public void An_order_brings_a_block_before_anybody_asks()
    {
        var tier = new MemoryTier();
        using var alone = new TestEngine();
        Assert.False(alone.Engine.TryOrderFetch(alone.Tenant, "far"u8.ToArray()));
        using var engine = Open(tier);
        tier.StoreContent("far"u8, [1, 2, 3]);
        engine.PutContent("near"u8, [4]);
        using var completed = new CountdownEvent(3);
        var results = new (FetchOrderResult, long)[3];
        byte[][] keys = [.. new[] { "far", "near", "nowhere" }.Select(System.Text.Encoding.ASCII.GetBytes)];
        for (var index = 0; index < keys.Length; index++)
        {
            var own = index;
            Assert.True(engine.Engine.TryOrderFetch(engine.Tenant, keys[index], completed: (result, bytes) =>
            {
                results[own] = (result, bytes);
                completed.Signal();
            }));
        }

        Assert.True(completed.Wait(Patience), "the orders did not end");
        Assert.Equal([(FetchOrderResult.Fetched, 3L), (FetchOrderResult.AlreadyHere, 0L), (FetchOrderResult.NotFetched, 0L)], results);
        Assert.Equal([1, 2, 3], engine.Get("far"u8)!);
        Assert.Equal(1, Figures(engine).Background);
    }

    [Fact]
    public void Orders_beyond_the_bound_are_refused()
    {
        var tier = new MemoryTier { BelievesAnything = true };
        using var engine = new TestEngine(options =>
        {
            options.FarTiers.MaxQueuedFetches = 2;
            options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Patience;
        });
        engine.Engine.AttachTier(tier);
        using var release = new ManualResetEventSlim();
        tier.BeforeBytes = _ => release.Wait(Patience);

        Assert.True(engine.Engine.TryOrderFetch(engine.Tenant, "a"u8.ToArray()));
        Assert.True(engine.Engine.TryOrderFetch(engine.Tenant, "b"u8.ToArray()));
        Assert.False(engine.Engine.TryOrderFetch(engine.Tenant, "c"u8.ToArray()));

        release.Set();
        Assert.True(SpinWait.SpinUntil(() => engine.Engine.QueuedFetches == 0, Patience), "the orders did not end");
    }

    [Fact]
    public async Task No_more_clients_fetch_at_a_time_than_the_bound()
    {
        var tier = new MemoryTier { BelievesAnything = true };
        using var engine = new TestEngine(options =>
        {
            options.FarTiers.MaxForegroundFetches = 2;
            options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Patience;
        });
        engine.Engine.AttachTier(tier);
        var running = 0;
        var most = 0;
        tier.BeforeBytes = _ =>
        {
            InterlockedMax(ref most, Interlocked.Increment(ref running));
            Thread.Yield();
            Interlocked.Decrement(ref running);
        };

        var reads = Enumerable.Range(0, 16).Select(index => Task.Factory.StartNew(
            () => Read(engine, TestBytes.Hash(1, index)), TaskCreationOptions.LongRunning)).ToArray();

        await Task.WhenAll(reads).WaitAsync(Patience);
        Assert.Equal(16, tier.Fetches);
        Assert.InRange(most, 1, 2);
    }

    [Fact]
    public void Blocks_that_leave_are_offered_to_a_tier_that_takes_them()
    {
        var tier = new MemoryTier { TakesOffers = true };
        using var engine = new TestEngine(options => options.MaxResidentBlocks = 16);
        engine.Engine.AttachTier(tier);
        for (var index = 0; index < 16; index++)
        {
            engine.PutContent(TestBytes.Hash(1, index), TestBytes.Payload(index, 1000));
        }

        engine.Put("opaque"u8, [1], BlockTraits.Opaque);

        Assert.True(SpinWait.SpinUntil(() => tier.Count >= 15, Patience), $"{tier.Count} blocks were offered");
        Assert.False(tier.Has("opaque"u8));
        Assert.True(SpinWait.SpinUntil(() => Figures(engine).OfferedBytes >= 15_000, Patience), "offers were not counted");
    }

    [Fact]
    public async Task Stopping_does_not_wait_for_a_tier()
    {
        var tier = new MemoryTier { BelievesAnything = true };
        var engine = new TestEngine(options => options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = TimeSpan.FromHours(1));
        engine.Engine.AttachTier(tier);
        using var asked = new ManualResetEventSlim();
        tier.BeforeBytes = intake =>
        {
            asked.Set();
            Assert.True(SpinWait.SpinUntil(() => intake.Remaining == TimeSpan.Zero, Patience), "the stop was not seen");
        };

        var read = Task.Factory.StartNew(() => Read(engine, "key"u8), TaskCreationOptions.LongRunning);
        Assert.True(asked.Wait(Patience), "the tier was not asked");
        engine.Dispose();

        Assert.Null(await read.WaitAsync(Patience));
    }

    [Fact]
    public void A_block_that_is_removed_while_it_comes_does_not_stay()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.StoreContent("key"u8, [1, 2, 3]);
        tier.BeforeBytes = _ => engine.Engine.Remove(engine.Tenant, "key"u8);

        Assert.Null(Read(engine, "key"u8));

        Assert.False(engine.Engine.TryInspect(engine.Tenant, "key"u8, out _));
        Assert.Equal(0, engine.Engine.Snapshot().Arenas.Sum(arena => arena.AllocatedBytes));
    }

    [Fact]
    public void A_purge_ends_what_is_on_its_way()
    {
        var tier = new MemoryTier();
        using var engine = Open(tier);
        tier.StoreContent("key"u8, [1, 2, 3]);
        tier.BeforeBytes = _ => engine.Engine.Purge(engine.Tenant, null, null);

        Assert.Null(Read(engine, "key"u8));
        Assert.False(engine.Engine.TryInspect(engine.Tenant, "key"u8, out _));
    }

    private static TestEngine Open(params IBlockTier[] tiers) => Open(null, tiers);

    private static TestEngine Open(SimulatedClock? clock, params IBlockTier[] tiers)
    {
        var engine = new TestEngine(
            options =>
            {
                if (clock is null)
                {
                    options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Patience;
                }
            },
            clock);
        foreach (var tier in tiers)
        {
            engine.Engine.AttachTier(tier);
        }

        return engine;
    }

    private static BlockTraits Companion(ReadOnlySpan<byte> main) => new() { IsContent = true, Model = "m", Revision = "", CompanionOf = main };

    private static FarTierSnapshot Figures(TestEngine engine) => engine.Engine.Snapshot().FarTiers[0];

    private static string Chain(TestEngine engine, ReadOnlySpan<byte> tail)
    {
        List<ReadOnlyMemory<byte>> keys = [];
        engine.Engine.ListChain(engine.Tenant, tail, 10, keys);
        return string.Join(' ', keys.Select(key => Encoding.ASCII.GetString(key.Span)));
    }

    private static Task<FetchOrderResult> OrderAsync(TestEngine engine, string key, string parent)
    {
        var ended = new TaskCompletionSource<FetchOrderResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        Assert.True(engine.Engine.TryOrderFetch(engine.Tenant, Encoding.ASCII.GetBytes(key), Encoding.ASCII.GetBytes(parent), (result, _) => ended.SetResult(result)));
        return ended.Task.Within("the end of an order");
    }

    private static byte[]? Read(TestEngine engine, ReadOnlySpan<byte> key)
    {
        if (!engine.Engine.TryReadAnywhere(engine.Tenant, key, out var read))
        {
            return null;
        }

        using (read)
        {
            return read.Verify() ? read.Payload.ToArray() : null;
        }
    }

    private static void InterlockedMax(ref int target, int value)
    {
        while (Volatile.Read(ref target) is var seen && seen < value && Interlocked.CompareExchange(ref target, value, seen) != seen)
        {
        }
    }

    /// <summary>Promises two chunks and brings one.</summary>
    private sealed class PartialTier : IBlockTier
    {
        public string Name => "partial";

        public bool TakesOffers => false;

        public ulong Believes(Tenant tenant, ReadOnlySpan<byte> key) => 1;

        public int CountPrefix(Tenant tenant, KeyRun keys, int from) => 0;

        public FetchOutcome Fetch(Tenant tenant, ReadOnlySpan<byte> key, ulong belief, IBlockIntake intake)
        {
            var payload = new byte[Limits.ChecksumChunkBytes + 1];
            Assert.True(intake.TryReserve(new BlockOrigin { PayloadBytes = payload.Length, Traits = BlockTraits.Content("m", "", default) }));
            payload.CopyTo(intake.Payload);
            Assert.True(intake.TryAccept(0, BitConverter.GetBytes(Protocol.Integrity.Crc32C.Compute(payload.AsSpan(0, Limits.ChecksumChunkBytes)))));
            Assert.Equal(Limits.ChecksumChunkBytes, intake.AcceptedPrefixBytes);
            return FetchOutcome.Filled;
        }

        public bool Offer(in LeavingBlock block) => false;
    }
}
