using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Retention;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

public sealed class BlockEngineTests
{
    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(28)]
    [InlineData(65536)]
    [InlineData(65537)]
    [InlineData(1 << 20)]
    public void Gives_back_what_was_put(int bytes)
    {
        using var engine = new TestEngine();
        var payload = TestBytes.Payload(1, bytes);

        Assert.Equal(SealStatus.Sealed, engine.PutContent("key"u8, payload));

        Assert.Equal(payload, engine.Get("key"u8));
        Assert.Null(engine.Get("other"u8));
    }

    [Fact]
    public void The_first_sealed_writer_of_content_wins()
    {
        using var engine = new TestEngine();
        engine.Engine.TryReserve(engine.Tenant, "key"u8, 3, BlockTraits.Content("m", "", default), out var slow);
        "one"u8.CopyTo(slow!.Payload);
        slow.Checksums[0] = Protocol.Integrity.Crc32C.Compute("one"u8);

        Assert.False(engine.Engine.TryInspect(engine.Tenant, "key"u8, out _));
        Assert.Equal(SealStatus.Sealed, engine.PutContent("key"u8, "two"u8));
        Assert.Equal(SealStatus.AlreadyPresent, engine.Engine.Seal(slow, default));
        Assert.Equal(SealStatus.AlreadyPresent, engine.PutContent("key"u8, "three"u8));

        Assert.Equal("two"u8.ToArray(), engine.Get("key"u8));
    }

    [Fact]
    public void A_write_to_an_opaque_key_replaces_and_open_reads_keep_the_old_bytes()
    {
        using var engine = new TestEngine();
        engine.Put("key"u8, "old"u8, BlockTraits.Opaque);
        Assert.True(engine.Engine.TryRead(engine.Tenant, "key"u8, ReadIntent.Use, out var read));

        engine.Put("key"u8, "new"u8, BlockTraits.Opaque);

        Assert.Equal("old", Encoding.ASCII.GetString(read.Payload));
        read.Dispose();
        Assert.Equal("new"u8.ToArray(), engine.Get("key"u8));
        Assert.Equal(1, engine.Engine.Snapshot().Tiers[0].Blocks);
    }

    [Fact]
    public void Conditions_of_a_seal_hold_or_change_nothing()
    {
        using var engine = new TestEngine();
        var absent = new SealOptions { Condition = SealCondition.IfAbsent };
        var present = new SealOptions { Condition = SealCondition.IfPresent };

        Assert.Equal(SealStatus.ConditionFailed, engine.Put("key"u8, "1"u8, BlockTraits.Opaque, present));
        Assert.Equal(SealStatus.Sealed, engine.Put("key"u8, "2"u8, BlockTraits.Opaque, absent));
        Assert.Equal(SealStatus.ConditionFailed, engine.Put("key"u8, "3"u8, BlockTraits.Opaque, absent));
        Assert.Equal(SealStatus.Sealed, engine.Put("key"u8, "4"u8, BlockTraits.Opaque, present));

        Assert.Equal("4"u8.ToArray(), engine.Get("key"u8));
    }

    [Fact]
    public void Removed_and_aborted_blocks_give_their_space_back()
    {
        using var engine = new TestEngine();
        engine.PutContent("key"u8, TestBytes.Payload(1, 100_000));
        engine.Engine.TryReserve(engine.Tenant, "other"u8, 50_000, BlockTraits.Opaque, out var reservation);

        Assert.True(engine.Engine.Remove(engine.Tenant, "key"u8));
        Assert.False(engine.Engine.Remove(engine.Tenant, "key"u8));
        engine.Engine.Abort(reservation!);

        Assert.Null(engine.Get("key"u8));
        Assert.Equal(0, engine.Engine.Snapshot().Arenas[0].AllocatedBytes);
    }

    [Fact]
    public void An_expired_block_is_a_miss()
    {
        var clock = new SimulatedClock();
        using var engine = new TestEngine(time: clock);
        var expires = clock.GetUtcNow().ToUnixTimeMilliseconds() + 1000;
        engine.Put("key"u8, "1"u8, BlockTraits.Opaque, new SealOptions { ExpiresAt = expires });
        engine.Put("kept"u8, "1"u8, BlockTraits.Opaque, new SealOptions { ExpiresAt = expires });
        Assert.True(engine.Engine.SetExpiry(engine.Tenant, "kept"u8, 0));

        clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Null(engine.Get("key"u8));
        Assert.NotNull(engine.Get("kept"u8));
    }

    [Fact]
    public void A_purge_hides_one_revision_at_once_and_a_restart_does_not_bring_it_back()
    {
        using var engine = new TestEngine();
        engine.Put("a"u8, "1"u8, BlockTraits.Content("m", "1", default));
        engine.Put("b"u8, "2"u8, BlockTraits.Content("m", "2", default));

        Assert.Equal(1, engine.Engine.Purge(engine.Tenant, "m", "1"));

        Assert.Null(engine.Get("a"u8));
        Assert.NotNull(engine.Get("b"u8));
        engine.Restart();
        Assert.Null(engine.Get("a"u8));
        Assert.NotNull(engine.Get("b"u8));
        Assert.Equal(SealStatus.Sealed, engine.Put("a"u8, "3"u8, BlockTraits.Content("m", "1", default)));
        Assert.Equal("3"u8.ToArray(), engine.Get("a"u8));
    }

    [Fact]
    public void A_match_is_the_prefix_that_is_here()
    {
        using var engine = new TestEngine();
        PutChain(engine, chain: 1, from: 0, to: 20);

        Assert.Equal(20, Match(engine, 1, 20));
        Assert.Equal(20, Match(engine, 1, 100));
        Assert.Equal(7, Match(engine, 1, 7));
        Assert.Equal(0, Match(engine, 2, 5));
    }

    [Fact]
    public void A_removed_parent_is_a_hole_until_it_comes_back()
    {
        using var engine = new TestEngine();
        PutChain(engine, chain: 1, from: 0, to: 20);

        engine.Engine.Remove(engine.Tenant, Scope.KeyOf(TestBytes.Hash(1, 9)));
        Assert.Equal(9, Match(engine, 1, 20));
        Assert.Equal(1, engine.Engine.Snapshot().Tenants[0].Holes);

        PutChain(engine, chain: 1, from: 9, to: 10);
        Assert.Equal(20, Match(engine, 1, 20));
        Assert.Equal(0, engine.Engine.Snapshot().Tenants[0].Holes);
    }

    [Fact]
    public void Eviction_takes_the_tail_of_the_chain_used_longest_ago()
    {
        using var engine = new TestEngine(options => options.MaxResidentBlocks = 30);
        PutChain(engine, chain: 1, from: 0, to: 10);
        PutChain(engine, chain: 2, from: 0, to: 10);
        PutChain(engine, chain: 3, from: 0, to: 10);
        Assert.Equal(10, Match(engine, 1, 10));

        PutChain(engine, chain: 4, from: 0, to: 5);

        Assert.Equal(10, Match(engine, 1, 10));
        Assert.Equal(5, Match(engine, 2, 10));
        Assert.Equal(10, Match(engine, 3, 10));
        Assert.Equal(0, engine.Engine.Snapshot().Tenants[0].Holes);
    }

    [Theory]
    [InlineData(RetentionKind.Lru)]
    [InlineData(RetentionKind.S3Fifo)]
    [InlineData(RetentionKind.Arc)]
    [InlineData(RetentionKind.WTinyLfu)]
    [InlineData(RetentionKind.Hazard)]
    public void Whatever_the_order_of_leaving_no_chain_gets_a_hole(RetentionKind kind)
    {
        using var engine = new TestEngine(options => (options.MaxResidentBlocks, options.Retention) = (30, kind));
        for (var chain = 1; chain < 12; chain++)
        {
            PutChain(engine, chain, from: 0, to: 10);
            Match(engine, 1 + (chain / 2), 10);
        }

        var here = Enumerable.Range(1, 11).Sum(chain => Match(engine, chain, 10));
        Assert.InRange(here, 1, 30);
        Assert.Equal(0, engine.Engine.Snapshot().Tenants[0].Holes);
    }

    [Fact]
    public void A_leased_block_is_no_victim_until_the_lease_ends()
    {
        var clock = new SimulatedClock();
        using var engine = new TestEngine(options => options.MaxResidentBlocks = 4, clock);
        engine.PutContent("leased"u8, "1"u8);
        Assert.True(engine.Engine.Exists(engine.Tenant, "leased"u8, engine.Leases, TimeSpan.FromSeconds(30)));

        PutChain(engine, chain: 1, from: 0, to: 8);
        Assert.NotNull(engine.Get("leased"u8));

        clock.Advance(TimeSpan.FromSeconds(31));
        for (var chain = 2; chain < 6; chain++)
        {
            PutChain(engine, chain, from: 0, to: 8);
        }

        Assert.Null(engine.Get("leased"u8));
    }

    [Fact]
    public void Halves_of_a_pair_appear_and_leave_together()
    {
        using var engine = new TestEngine();
        Assert.Equal(SealStatus.Sealed, engine.Put("kmetadata"u8, "m"u8, new BlockTraits { IsContent = true, CompanionOf = "kkv_bytes"u8, Model = "", Revision = "" }));
        Assert.Null(engine.Get("kmetadata"u8));

        engine.PutContent("kkv_bytes"u8, "bytes"u8);
        Assert.Equal("m"u8.ToArray(), engine.Get("kmetadata"u8));

        engine.Engine.Remove(engine.Tenant, "kkv_bytes"u8);
        Assert.Null(engine.Get("kmetadata"u8));
        Assert.Equal(0, engine.Engine.Snapshot().Tiers[0].Blocks);
    }

    [Fact]
    public void Sealed_blocks_survive_a_restart_verified_and_reservations_do_not()
    {
        using var engine = new TestEngine();
        PutChain(engine, chain: 1, from: 0, to: 10);
        engine.Engine.TryReserve(engine.Tenant, "half"u8, 1000, BlockTraits.Opaque, out _);

        engine.Restart();

        Assert.Equal(10, Match(engine, 1, 10));
        Assert.Equal(TestBytes.Payload(3, 5000), engine.Get(Scope.KeyOf(TestBytes.Hash(1, 3))));
        Assert.Null(engine.Get("half"u8));
        Assert.Equal(10, engine.Engine.Snapshot().Tiers[0].Blocks);
    }

    [Fact]
    public void Altered_bytes_are_a_miss_and_the_block_is_gone()
    {
        using var engine = new TestEngine();
        engine.PutContent("key"u8, TestBytes.Payload(1, 100_000));
        var block = engine.Engine.TryRead(engine.Tenant, "key"u8, ReadIntent.Use, out var read) ? read.Block : null;
        engine.Tenant.Host.Arena.Data(block!.Extent.Offset, 100_000)[77_777] ^= 1;

        Assert.False(read.Verify());
        read.Dispose();

        Assert.Null(engine.Get("key"u8));
        Assert.Equal(1, engine.Engine.Snapshot().Integrity.QuarantinedBlocks);
        Assert.Equal(0, engine.Engine.Snapshot().Arenas[0].AllocatedBytes);
    }

    private static void PutChain(TestEngine engine, int chain, int from, int to)
    {
        for (var index = from; index < to; index++)
        {
            var parent = index == 0 ? [] : Scope.KeyOf(TestBytes.Hash(chain, index - 1));
            Assert.Equal(SealStatus.Sealed, engine.PutContent(Scope.KeyOf(TestBytes.Hash(chain, index)), TestBytes.Payload(index, 5000), parent));
        }
    }

    private static int Match(TestEngine engine, int chain, int count)
    {
        byte[] hashes = [.. Enumerable.Range(0, count).SelectMany(index => TestBytes.Hash(chain, index))];
        return engine.Engine.MatchPrefix(engine.Tenant, new KeyRun(Scope.Bytes.Span, hashes), engine.Leases, TimeSpan.Zero).Blocks;
    }
}
