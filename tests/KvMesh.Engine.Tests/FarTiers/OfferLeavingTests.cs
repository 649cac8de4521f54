using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.TestKit;
using KvMesh.TestKit.FarTiers;

namespace KvMesh.Engine.Tests.FarTiers;

/// <summary>What a node that leaves gives to tiers that all nodes share.</summary>
public sealed class OfferLeavingTests
{
    private static readonly TimeSpan Enough = TimeSpan.FromMinutes(1);

    private readonly MemoryTier _tier = new() { TakesOffers = true };

    [Fact]
    public void What_was_used_is_offered_and_what_nobody_used_is_not()
    {
        using var engine = Open(_tier);
        Put(engine, "used", "idle", "used too");
        Use(engine, "used", "used too");

        engine.Engine.OfferLeaving(Enough);

        Assert.True(_tier.Has("used"u8));
        Assert.True(_tier.Has("used too"u8));
        Assert.False(_tier.Has("idle"u8));
        Assert.Equal(2, engine.Engine.Snapshot().FarTiers[0].Offered);
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
