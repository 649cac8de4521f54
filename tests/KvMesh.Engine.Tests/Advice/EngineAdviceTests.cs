using KvMesh.Engine.Advice;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Advice;

/// <summary>What the engine tells its advisor.</summary>
public sealed class EngineAdviceTests
{
    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);
    private static readonly AdviceChange MuchMore = new(1L << 40, 0, 1);

    [Fact]
    public void A_lookup_counts_once_and_a_block_that_was_stored_is_known()
    {
        using var engine = new TestEngine();
        Assert.Null(engine.Get("key"u8));
        engine.PutContent("key"u8, TestBytes.Payload(1, 5_000));
        Assert.NotNull(engine.Get("key"u8));
        Assert.True(engine.Engine.Exists(engine.Tenant, "key"u8, engine.Leases, TimeSpan.Zero));
        Assert.False(engine.Engine.Exists(engine.Tenant, "other"u8, engine.Leases, TimeSpan.Zero));

        var all = engine.Engine.Advise(MuchMore).All;

        Assert.Equal(4, all.Touches);
        Assert.Equal(0.5, all.HostThen, precision: 9);
        Assert.Equal(0.5, all.Largest, precision: 9);
    }

    [Fact]
    public void A_read_behind_a_lookup_is_not_asked_for_again()
    {
        using var engine = new TestEngine();
        engine.PutContent("key"u8, TestBytes.Payload(1, 5_000));
        Assert.True(engine.Engine.Exists(engine.Tenant, "key"u8, engine.Leases, TimeSpan.Zero));
        Assert.NotNull(engine.Get("key"u8));
        Assert.Null(engine.Get("other"u8));

        Assert.Equal(1, engine.Engine.Advise(MuchMore).All.Touches);
    }

    [Fact]
    public void A_match_counts_every_block_that_it_asks_for_and_names_keys_as_reads_do()
    {
        using var engine = new TestEngine();
        var hashes = TestBytes.Hash(1, 0).Concat(TestBytes.Hash(1, 1)).Concat(TestBytes.Hash(1, 2)).ToArray();
        byte[] first = [.. Scope.Bytes.Span, .. hashes[..32]];
        engine.PutContent(first, TestBytes.Payload(1, 5_000));

        Assert.Equal(1, engine.Engine.MatchPrefix(engine.Tenant, new KeyRun(Scope.Bytes.Span, hashes), engine.Leases, TimeSpan.Zero).Blocks);

        var advice = engine.Engine.Advise(MuchMore);
        Assert.Equal(3, advice.All.Touches);
        Assert.Equal(1 / 3.0, advice.All.HostThen, precision: 9);
        Assert.Equal(engine.Tenant.Name, Assert.Single(advice.Tenants).Tenant);
    }

    [Fact]
    public void What_its_owner_removed_no_memory_would_have_kept()
    {
        using var engine = new TestEngine();
        engine.PutContent("key"u8, TestBytes.Payload(1, 5_000));
        Assert.True(engine.Engine.Remove(engine.Tenant, "key"u8));
        Assert.Null(engine.Get("key"u8));

        Assert.Equal(0, engine.Engine.Advise(MuchMore).All.Largest);
    }

    [Fact]
    public void Curves_reach_beyond_the_sizes_in_question_and_agree_with_the_shares()
    {
        using var engine = new TestEngine();
        for (var block = 0; block < 100; block++)
        {
            engine.PutContent(TestBytes.Hash(2, block), TestBytes.Payload(1, 100_000));
        }

        for (var block = 0; block < 100; block++)
        {
            Assert.NotNull(engine.Get(TestBytes.Hash(2, block)));
        }

        var advice = engine.Engine.Advise(new AdviceChange(96 << 20, 0, 2));

        Assert.Equal((100, 1.0), (advice.SampledBlocks, advice.SampledShare));
        Assert.InRange(advice.CurveBytes[0], 1, advice.HostBytes / 2);
        Assert.InRange(advice.CurveBytes[^1], 2 * 2 * (advice.HostBytes + (96 << 20)), long.MaxValue);
        Assert.All([advice.All, Assert.Single(advice.Tenants).Part], part =>
        {
            Assert.Equal((100.0, 0.0, 1.0), (part.SampledTouches, part.Margin, part.HostThen));
            Assert.Equal(advice.CurveBytes.Count, part.Curve.Count);
            Assert.Equal(part.Curve.Order(), part.Curve);
            Assert.Equal(0, part.Curve[0]);
            Assert.Equal(1, part.Curve[^1]);

            // Each block is found again behind 99 others: half of what they take does not do, and twice as much does.
            var bytes = 100 * 102_400L;
            Assert.Equal([0.0, 1.0], [part.Curve[Last(advice, bytes / 2)], part.Curve[Last(advice, 2 * bytes)]]);
        });
    }

    [Fact]
    public void Tenants_beyond_those_with_curves_of_their_own_are_one_line()
    {
        using var engine = new TestEngine(options =>
        {
            for (var tenant = 0; tenant <= CapacityAdvisor.MaxTenantCurves + 3; tenant++)
            {
                options.Tenants.Add(new TenantOptions { Name = $"tenant-{tenant}", IsolationGroup = "all" });
            }
        });
        foreach (var tenant in engine.Engine.Tenants.All)
        {
            Assert.False(engine.Engine.Exists(tenant, "key"u8, engine.Leases, TimeSpan.Zero));
        }

        var advice = engine.Engine.Advise(MuchMore);

        Assert.Equal(CapacityAdvisor.MaxTenantCurves + 1, advice.Tenants.Count);
        Assert.Equal(engine.Engine.Tenants.All.Count - CapacityAdvisor.MaxTenantCurves, Assert.Single(advice.Tenants, tenant => tenant.Tenant is null).Part.Touches);
        Assert.Equal(engine.Engine.Tenants.All.Count, advice.All.Touches);
    }

    private static int Last(AdviceSnapshot advice, long bytes) => advice.CurveBytes.Count(size => size <= bytes) - 1;
}
