using KvMesh.Engine.Blocks;
using KvMesh.Engine.Tests.Tiering;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Coding;

/// <summary>Blocks that may not lose anything from some moment on, because something refers to them that wants every bit.</summary>
public sealed class LosslessMarkTests : LossyEngineTests
{
    [Fact]
    public void A_block_that_was_told_in_time_leaves_RAM_as_it_is()
    {
        using var engine = new TestEngine(Options, diskCoder: Coder);
        engine.PutContent(KeyOf(0), PayloadOf(0));
        Assert.Equal(1, engine.Engine.KeepLossless(engine.Tenant, KeyOf(0), most: 10));
        Assert.Equal(0, engine.Engine.KeepLossless(engine.Tenant, KeyOf(0), most: 10));
        Assert.True(InfoOf(engine, 0).IsLosslessOnly);

        Fill(engine, from: 1);

        Assert.Contains(OnDiskOnly(engine), index => InfoOf(engine, index).Loss is not null);
        Assert.Equal(BlockTiers.Disk, InfoOf(engine, 0).Tiers);
        AssertExact(engine, 0);
    }

    [Fact]
    public void A_lossy_copy_below_an_exact_one_is_given_up()
    {
        using var engine = Filled();
        var some = Enumerable.Range(0, Blocks).Where(index => InfoOf(engine, index) is { Loss: null, LossBelow: not null }).ToList();
        Assert.NotEmpty(some);
        some.ForEach(index => Assert.Equal(1, engine.Engine.KeepLossless(engine.Tenant, KeyOf(index), most: 1)));
        Eventually.HoldsBlocking(() => some.All(index => InfoOf(engine, index).LossBelow is null), "no lossy copy below an exact one");

        // They are to be written again, before somebody needs their room.
        Eventually.HoldsBlocking(() => DiskMoverTests.IsCleanAhead(engine, blocks: 4), "the demoter to keep up");
        Fill(engine, from: Blocks);

        Assert.Contains(some, index => InfoOf(engine, index).Tiers == BlockTiers.Disk);
        some.ForEach(index => AssertExact(engine, index));
    }

    [Fact]
    public void A_chain_is_told_from_its_end_back_as_far_as_asked()
    {
        using var engine = new TestEngine(Options, diskCoder: Coder);
        for (var index = 0; index < 10; index++)
        {
            engine.PutContent(KeyOf(index), PayloadOf(index), index > 0 ? KeyOf(index - 1) : default(ReadOnlySpan<byte>));
        }

        Assert.Equal(3, engine.Engine.KeepLossless(engine.Tenant, KeyOf(7), most: 3));
        Assert.Equal([5, 6, 7], Enumerable.Range(0, 10).Where(index => InfoOf(engine, index).IsLosslessOnly));
        Assert.Equal(7, engine.Engine.KeepLossless(engine.Tenant, KeyOf(9), most: 100));
        Assert.Equal(0, engine.Engine.KeepLossless(engine.Tenant, KeyOf(99), most: 100));
    }

    [Fact]
    public void What_lost_something_before_is_a_miss_until_it_is_written_again_and_then_stays_exact()
    {
        using var engine = Filled();
        var lossy = OnDiskOnly(engine).First(index => InfoOf(engine, index).Loss is not null);
        Assert.Equal(1, engine.Engine.KeepLossless(engine.Tenant, KeyOf(lossy), most: 1));
        Assert.False(TryReadLossless(engine, lossy, out _));
        Assert.True(engine.Engine.TryRead(engine.Tenant, KeyOf(lossy), ReadIntent.Use, out var read));
        read.Dispose();

        Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(lossy), PayloadOf(lossy)));
        Assert.True(InfoOf(engine, lossy).IsLosslessOnly);
        Fill(engine, from: Blocks);
        AssertExact(engine, lossy);
    }

    [Fact]
    public void The_next_process_on_the_arena_knows()
    {
        using var engine = new TestEngine(Options, diskCoder: Coder);
        engine.PutContent(KeyOf(0), PayloadOf(0));
        engine.PutContent(KeyOf(1), PayloadOf(1));
        engine.Engine.KeepLossless(engine.Tenant, KeyOf(0), most: 1);

        engine.Restart(keepArena: true);

        Assert.Equal((true, false), (InfoOf(engine, 0).IsLosslessOnly, InfoOf(engine, 1).IsLosslessOnly));
        Fill(engine, from: 2);
        AssertExact(engine, 0);
    }

    [Fact]
    public void An_encoded_copy_in_RAM_that_lost_something_is_given_up()
    {
        using var engine = new TestEngine(
            options =>
            {
                Options(options);
                options.HostCoding.EncodeShare = 64;
                options.HostCoding.EncodeFrom = 0;
            },
            hostCoder: Coder);
        engine.PutContent(KeyOf(0), PayloadOf(0));
        Eventually.HoldsBlocking(() => engine.Engine.Snapshot().HostCoding.Codecs.Any(codec => codec.EncodedBlocks > 0), "the block to be encoded");
        engine.Engine.KeepLossless(engine.Tenant, KeyOf(0), most: 1);

        Fill(engine, from: 1);

        AssertExact(engine, 0);
    }

    private static void AssertExact(TestEngine engine, int index)
    {
        Assert.True(TryReadLossless(engine, index, out var payload), $"Block {index} is {InfoOf(engine, index)}.");
        Assert.Equal(PayloadOf(index), payload);
    }
}
