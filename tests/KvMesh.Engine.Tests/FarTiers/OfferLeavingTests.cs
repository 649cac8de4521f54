using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.Engine.Retention;
using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Engine.Tests.FarTiers;

/// <summary>What a node that leaves gives to tiers that all nodes share.</summary>
public sealed class OfferLeavingTests
{
    private static readonly TimeSpan Enough = TimeSpan.FromMinutes(1);

    private readonly MemoryTier _tier = new() { TakesOffers = true };

    [Fact]
    public void Where_nothing_is_known_all_is_offered()
    {
        using var engine = Open(_tier);
        Put(engine, "used", "idle");
        Use(engine, "used");

        engine.Engine.OfferLeaving(Enough);

        Assert.True(_tier.Has("used"u8));
        Assert.True(_tier.Has("idle"u8));
        Assert.Equal(2, engine.Engine.Snapshot().FarTiers[0].Offered);
    }

    [Fact]
    public void Where_single_prompts_never_come_back_what_was_used_or_is_pinned_is_offered_and_what_goes_on_where_others_did()
    {
        var clock = new SimulatedClock();
        using var engine = new TestEngine(
            options =>
            {
                options.ArenaBytes = 24 << 20;
                options.Retention = RetentionKind.Hazard;
                options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Enough;
            },
            time: clock);

        // Fifty sessions come back once a second each, a block longer, and between them prompts that nobody asks for again.
        const int Requests = 3000;
        for (var request = 0; request < Requests; request++)
        {
            clock.Advance(TimeSpan.FromMilliseconds(20));
            Serve(engine, $"session {request % 50}", 1 + (request / 50));
            Serve(engine, $"once {request}", 8);
        }

        Put(engine, "idle", "used", "pinned", "pinned once");
        Use(engine, "used");
        foreach (var key in (string[])["pinned", "pinned once"])
        {
            Assert.Equal(HoldStatus.Held, engine.Engine.TryHold(engine.Tenant, Encoding.ASCII.GetBytes(key), TimeSpan.FromHours(1)));
        }

        engine.Engine.Release(engine.Tenant, "pinned once"u8);
        engine.Engine.AttachTier(_tier);
        engine.Engine.OfferLeaving(Enough);

        // Nobody has used the newest block of a session yet.
        Assert.True(_tier.Has(Encoding.ASCII.GetBytes($"session {(Requests - 1) % 50}, {(Requests - 1) / 50}")));
        Assert.True(_tier.Has("used"u8));
        Assert.True(_tier.Has("pinned"u8));
        Assert.False(_tier.Has("pinned once"u8));
        Assert.False(_tier.Has("idle"u8));
        Assert.False(_tier.Has(Encoding.ASCII.GetBytes($"once {Requests - 1}, 7")));

        // It gets another chance when it is wanted.
        Use(engine, "idle");
        engine.Engine.OfferLeaving(Enough);
        Assert.True(_tier.Has("idle"u8));
    }

    [Fact]
    public void Another_node_reads_what_was_offered_byte_for_byte()
    {
        var payload = TestBytes.Payload(seed: 3, bytes: 300_000);
        using (var engine = Open(_tier))
        {
            engine.PutContent("big"u8, payload);
            Use(engine, "big");
            engine.Engine.OfferLeaving(Enough);
        }

        using var other = Open(_tier);
        Assert.True(other.Engine.TryReadAnywhere(other.Tenant, "big"u8, out var read));
        using (read)
        {
            Assert.True(read.Verify());
            Assert.Equal(payload, read.Payload.ToArray());
        }
    }

    [Fact]
    public void What_was_taken_once_is_not_offered_again()
    {
        using var engine = Open(_tier);
        Put(engine, "a");
        Use(engine, "a");
        engine.Engine.OfferLeaving(Enough);
        _tier.Remove("a"u8);

        engine.Engine.OfferLeaving(Enough);

        Assert.False(_tier.Has("a"u8));
        Assert.Equal(1, engine.Engine.Snapshot().FarTiers[0].Offered);
    }

    [Fact]
    public void It_ends_when_the_time_is_over()
    {
        var clock = new SimulatedClock();
        using var engine = new TestEngine(time: clock);
        var slow = new SlowTier(() => clock.Advance(TimeSpan.FromSeconds(1)));
        engine.Engine.AttachTier(slow);
        var keys = Enumerable.Range(0, 20).Select(index => $"k{index}").ToArray();
        Put(engine, keys);
        Use(engine, keys);

        engine.Engine.OfferLeaving(TimeSpan.FromSeconds(5));

        Assert.Equal(5, slow.Offers);
        engine.Engine.OfferLeaving(TimeSpan.Zero);
        Assert.Equal(5, slow.Offers);
    }

    [Fact]
    public void What_was_removed_or_purged_is_nobody_elses()
    {
        using var engine = Open(_tier);
        Put(engine, "removed", "purged");
        Use(engine, "removed", "purged");
        Assert.True(engine.Engine.Remove(engine.Tenant, "removed"u8));
        engine.Engine.Purge(engine.Tenant, null, null);

        engine.Engine.OfferLeaving(Enough);

        Assert.Equal(0, _tier.Count);
    }

    [Fact]
    public void Without_a_tier_that_takes_offers_nothing_happens()
    {
        using var engine = Open(new MemoryTier());
        Put(engine, "a");
        Use(engine, "a");
        engine.Engine.OfferLeaving(Enough);
        using var alone = new TestEngine();
        alone.Engine.OfferLeaving(Enough);

        Assert.Equal(0, engine.Engine.Snapshot().FarTiers[0].Offered);
    }

    private static TestEngine Open(MemoryTier tier)
    {
        var engine = new TestEngine(options => options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = Enough);
        engine.Engine.AttachTier(tier);
        return engine;
    }

    private static void Put(TestEngine engine, params string[] keys) =>
        Assert.All(keys, key => Assert.Equal(SealStatus.Sealed, engine.PutContent(Encoding.ASCII.GetBytes(key), TestBytes.Payload(seed: key.Length, bytes: 1_000))));

    /// <summary>Uses what is there of a chain, and puts the rest.</summary>
    private static void Serve(TestEngine engine, string name, int blocks)
    {
        byte[] parent = [];
        for (var index = 0; index < blocks; index++)
        {
            var key = Encoding.ASCII.GetBytes($"{name}, {index}");
            if (engine.Get(key) is null)
            {
                Assert.Equal(SealStatus.Sealed, engine.PutContent(key, TestBytes.Payload(seed: index, bytes: 100), parent));
            }

            parent = key;
        }
    }

    private static void Use(TestEngine engine, params string[] keys) => Assert.All(keys, key => Assert.NotNull(engine.Get(Encoding.ASCII.GetBytes(key))));

    /// <summary>Takes every offer, and time for it.</summary>
    private sealed class SlowTier(Action passTime) : IBlockTier
    {
        public string Name => "slow";

        public bool TakesOffers => true;

        public int Offers { get; private set; }

        public ulong Believes(Tenant tenant, ReadOnlySpan<byte> key) => 0;

        public int CountPrefix(Tenant tenant, KeyRun keys, int from) => 0;

        public FetchOutcome Fetch(Tenant tenant, ReadOnlySpan<byte> key, ulong belief, IBlockIntake intake) => FetchOutcome.FalseHit;

        public bool Offer(in LeavingBlock block)
        {
            Offers++;
            passTime();
            return true;
        }
    }
}
