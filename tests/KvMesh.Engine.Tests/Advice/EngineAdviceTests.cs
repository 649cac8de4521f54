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
}
