using KvMesh.Engine.Blocks;
using KvMesh.Engine.Tests.Tiering;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Coding;

/// <summary>Blocks of a whole engine whose copies on disk have lost something: what each reader gets, and what becomes of them.</summary>
public sealed class LossyBlockTests : LossyEngineTests
{
    [Fact]
    public void What_left_RAM_is_its_lossy_copy_and_says_so()
    {
        using var engine = Filled();

        var lossy = OnDiskOnly(engine).ToList();
        Assert.NotEmpty(lossy);
        Assert.All(lossy, index => Assert.Equal(RoundingCoder.Loss, InfoOf(engine, index).Loss));
        AssertBytes(engine);
        Assert.Equal(0, engine.Engine.Snapshot().Integrity.Mismatches);
    }

    [Fact]
    public void A_block_is_exact_as_long_as_RAM_has_it()
    {
        using var engine = Filled();

        var exact = Enumerable.Range(0, Blocks).Where(index => InfoOf(engine, index) is { Loss: null, LossBelow: not null }).ToList();
        Assert.NotEmpty(exact);
        foreach (var index in exact)
        {
            Assert.Equal(BlockTiers.Host | BlockTiers.Disk, InfoOf(engine, index).Tiers);
            Assert.True(TryReadLossless(engine, index, out var payload));
            Assert.Equal(PayloadOf(index), payload);
        }
    }

    [Fact]
    public void A_lossless_reader_gets_every_bit_or_a_miss()
    {
        using var engine = Filled();
        var lossy = OnDiskOnly(engine).First();

        Assert.False(TryReadLossless(engine, lossy, out _));
        Assert.False(engine.Engine.Exists(engine.Tenant, KeyOf(lossy), engine.Leases, TimeSpan.Zero, losslessOnly: true));
        Assert.True(engine.Engine.Exists(engine.Tenant, KeyOf(lossy), engine.Leases, TimeSpan.Zero));
        Assert.Equal(RoundingCoder.Lossy(PayloadOf(lossy)), Read(engine, lossy).Payload);

        // In RAM by now, and no better for it.
        Assert.False(TryReadLossless(engine, lossy, out _));
        Assert.True(TryReadLossless(engine, Blocks - 1, out var payload));
        Assert.Equal(PayloadOf(Blocks - 1), payload);
    }

    [Fact]
    public void A_lossless_match_ends_at_the_first_block_that_lost_something()
    {
        using var engine = new TestEngine(Options, diskCoder: Coder);
        var keys = Enumerable.Range(0, Blocks).Select(index => TestBytes.Hash(7, index)).ToArray();
        for (var index = 0; index < Blocks; index++)
        {
            engine.PutContent(keys[index], PayloadOf(index), index > 0 ? keys[index - 1] : default(ReadOnlySpan<byte>));
            Eventually.HoldsBlocking(() => DiskMoverTests.IsCleanAhead(engine, blocks: 4), "the demoter to keep up");
        }

        var firstLossy = Enumerable.Range(0, Blocks).First(index => engine.Engine.TryInspect(engine.Tenant, keys[index], out var info) && info.Loss is not null);
        var run = new KeyRun(default, keys.SelectMany(key => key).ToArray());
        Assert.Equal(Blocks, engine.Engine.MatchPrefix(engine.Tenant, run, engine.Leases, TimeSpan.Zero).Blocks);
        Assert.Equal(firstLossy, engine.Engine.MatchPrefix(engine.Tenant, run, engine.Leases, TimeSpan.Zero, losslessOnly: true).Blocks);
    }

    [Fact]
    public void A_writer_puts_an_exact_block_in_the_place_of_a_lossy_one()
    {
        using var engine = Filled();
        var lossy = OnDiskOnly(engine).First();

        Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(lossy), PayloadOf(lossy)));
        Assert.True(TryReadLossless(engine, lossy, out var payload));
        Assert.Equal(PayloadOf(lossy), payload);
        Assert.Equal(SealStatus.AlreadyPresent, engine.PutContent(KeyOf(lossy), PayloadOf(lossy)));
    }

    [Fact]
    public void Nothing_is_lost_twice()
    {
        using var engine = Filled();
        for (var round = 0; round < 3; round++)
        {
            // Brings all of them into RAM, and out again.
            for (var index = 0; index < Blocks; index++)
            {
                var (payload, loss) = Read(engine, index);
                Assert.Equal(loss is null ? PayloadOf(index) : RoundingCoder.Lossy(PayloadOf(index)), payload);
                Eventually.HoldsBlocking(() => DiskMoverTests.IsCleanAhead(engine, blocks: 4), "the demoter to keep up");
            }
        }

        Assert.Equal(0, engine.Engine.Snapshot().Coding.UndecodableBlocks);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_was_lost_is_known_after_a_restart(bool keepArena)
    {
        using var engine = Filled();

        // Some that are lossy and in RAM.
        foreach (var index in OnDiskOnly(engine).Take(10).ToList())
        {
            Assert.NotNull(Read(engine, index).Loss);
        }

        var before = Enumerable.Range(0, Blocks).Select(index => InfoOf(engine, index)).ToArray();
        engine.Restart(keepArena);

        for (var index = 0; index < Blocks; index++)
        {
            // Without the arena what was exact in RAM has become its copy, which may have been written after that look at it.
            var after = InfoOf(engine, index);
            Assert.True(after.Loss == before[index].Loss || (!keepArena && after.Loss is not null), $"Block {index}: {before[index]}, then {after}.");
            Assert.True(keepArena || before[index].LossBelow is null || after.Loss is not null, $"Block {index}: {before[index]}, then {after}.");
            Assert.Equal(after.Loss is null, TryReadLossless(engine, index, out _));
        }

        AssertBytes(engine);
    }

    [Fact]
    public void What_was_lost_is_known_after_a_crash()
    {
        using var engine = Filled();
        using var image = new CrashImage(engine);

        using var next = image.Open(Options, Coder);

        Assert.Contains(Enumerable.Range(0, Blocks), index => InfoOf(next, index) is { Loss: null });
        Assert.Contains(Enumerable.Range(0, Blocks), index => InfoOf(next, index) is { Loss: not null });
        AssertBytes(next);
    }

    [Fact]
    public void An_exact_block_that_was_promised_to_stay_does_not_become_lossy()
    {
        var longer = TimeSpan.FromHours(1);
        using var engine = new TestEngine(
            options =>
            {
                Options(options);
                options.MaxExistenceLease = longer;
            },
            diskCoder: Coder);
        engine.PutContent(KeyOf(0), PayloadOf(0));
        Assert.True(engine.Engine.Exists(engine.Tenant, KeyOf(0), engine.Leases, longer, losslessOnly: true));

        Fill(engine, from: 1);

        Assert.NotEmpty(OnDiskOnly(engine));
        Assert.True(TryReadLossless(engine, 0, out var payload));
        Assert.Equal(PayloadOf(0), payload);
    }

    [Fact]
    public void A_policy_that_loses_nothing_writes_lossy_blocks_as_they_are()
    {
        using var engine = Filled();
        var lossy = OnDiskOnly(engine).Take(5).ToList();
        lossy.ForEach(index => Read(engine, index));
        Coder.IsExact = true;

        // A copy of another expiry is due to be written again.
        foreach (var index in lossy)
        {
            Assert.True(engine.Engine.SetExpiry(engine.Tenant, KeyOf(index), DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds()));
        }

        engine.Restart(keepArena: false);

        foreach (var index in lossy)
        {
            AssertLossy(engine, index);
            Assert.False(TryReadLossless(engine, index, out _));
        }
    }

    [Fact]
    public void A_companion_stays_with_the_better_copy_of_its_block()
    {
        using var engine = Filled();
        var lossy = OnDiskOnly(engine).First();
        var traits = new BlockTraits { IsContent = true, Model = "model", Revision = "1", CompanionOf = KeyOf(lossy) };
        Assert.Equal(SealStatus.Sealed, engine.Put("companion"u8, [1, 2, 3], traits));
        Assert.Equal([1, 2, 3], engine.Get("companion"u8));

        Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(lossy), PayloadOf(lossy)));

        Assert.Equal([1, 2, 3], engine.Get("companion"u8));
        Assert.True(engine.Engine.Remove(engine.Tenant, KeyOf(lossy)));
        Assert.Null(engine.Get("companion"u8));
    }

    [Fact]
    public void What_decodes_to_other_bytes_than_it_did_is_never_given()
    {
        using var engine = Filled();
        Coder.SpoilsDecoded = payload => payload[17] ^= 0x10;

        foreach (var index in OnDiskOnly(engine).ToList())
        {
            Assert.Null(engine.Get(KeyOf(index)));
        }
    }

    [Fact]
    public void ACoder_that_loses_what_it_must_not_is_not_believed()
    {
        using var engine = Filled();
        var lossy = OnDiskOnly(engine).First();
        Read(engine, lossy);
        Coder.Disobeys = true;
        Assert.True(engine.Engine.SetExpiry(engine.Tenant, KeyOf(lossy), DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds()));

        Fill(engine, from: Blocks);

        AssertLossy(engine, lossy);
        Eventually.HoldsBlocking(() => Fallbacks(engine, "mismatch") > 0, "the mismatch to be counted");
    }

    [Fact]
    public void Codecs_that_lost_too_much_are_counted()
    {
        Coder.OverCeiling = 2;
        using var engine = Filled();

        var encoded = engine.Engine.Snapshot().Coding.Codecs.Single().EncodedBlocks;
        Assert.InRange(Fallbacks(engine, "over-ceiling"), 2 * encoded, long.MaxValue);
    }

    [Theory]
    [InlineData(57_000)]
    [InlineData(65_000)]
    [InlineData(65_534)]
    [InlineData(73_000)]
    public void Encoded_bytes_may_end_anywhere_in_a_page(int payloadBytes)
    {
        using var engine = new TestEngine(Options, diskCoder: Coder);
        for (var index = 0; index < (4 << 20) / (payloadBytes + 8192); index++)
        {
            engine.PutContent(KeyOf(index), TestBytes.Payload(index, payloadBytes));
        }

        Eventually.HoldsBlocking(() => InfoOf(engine, 0).LossBelow is not null, "the first block to be written");
    }

    private static long Fallbacks(TestEngine engine, string reason) =>
        engine.Engine.Snapshot().Coding.Fallbacks.Single(fallback => fallback.Reason == reason).Blocks;

    private static (byte[]? Payload, Loss? Loss) Read(TestEngine engine, int index)
    {
        Assert.True(engine.Engine.TryRead(engine.Tenant, KeyOf(index), ReadIntent.Use, out var read), $"Block {index} is not there.");
        using (read)
        {
            Assert.True(read.Verify());
            return (read.Payload.ToArray(), read.Loss);
        }
    }

    private static void AssertLossy(TestEngine engine, int index)
    {
        var (payload, loss) = Read(engine, index);
        Assert.Equal(RoundingCoder.Lossy(PayloadOf(index)), payload);
        Assert.Equal(RoundingCoder.Loss, loss);
    }

    /// <summary>Each block is what was put, or what that decodes to, and says which.</summary>
    private static void AssertBytes(TestEngine engine)
    {
        foreach (var index in Enumerable.Range(0, Blocks))
        {
            var (payload, loss) = Read(engine, index);
            Assert.Equal(loss is null ? PayloadOf(index) : RoundingCoder.Lossy(PayloadOf(index)), payload);
            Assert.True(loss is null || loss == RoundingCoder.Loss);
        }
    }
}
