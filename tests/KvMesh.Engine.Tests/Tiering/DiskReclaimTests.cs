using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Tiering;

/// <summary>What leases and pins promise, while far more than the disk holds goes through it.</summary>
public sealed class DiskReclaimTests
{
    private const int PayloadBytes = 60_000;
    private const int ChainBlocks = 24;

    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);
    private static readonly byte[] Hashes = [.. Enumerable.Range(0, ChainBlocks).SelectMany(index => TestBytes.Hash(1, index))];

    [Fact]
    public void A_lease_on_the_end_of_a_prefix_keeps_all_of_it_on_disk()
    {
        using var engine = OpenWithChain();

        // More than a segment holds, of which only the last block is leased.
        LeaseChain(engine);
        PassThroughDisk(engine);

        AssertChainIsHere(engine);
        Assert.Equal(0, engine.Engine.Snapshot().BrokenPromises);
    }

    [Fact]
    public void Held_blocks_stay_on_disk()
    {
        using var engine = OpenWithChain();
        for (var index = 0; index < ChainBlocks; index++)
        {
            Assert.Equal(HoldStatus.Held, engine.Engine.TryHold(engine.Tenant, KeyOf(index), TimeSpan.FromHours(1)));
        }

        PassThroughDisk(engine);

        AssertChainIsHere(engine);
        Assert.Equal(0, engine.Engine.Snapshot().BrokenPromises);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_was_leased_on_disk_alone_stays_there_over_a_restart(bool isLeasedInRam)
    {
        // What else is on disk then counts as promised too, so that it has to be the smaller part.
        using var engine = OpenWithChain(diskBytes: 48 << 20);
        if (isLeasedInRam)
        {
            LeaseChain(engine);
            DriveChainOutOfRam(engine);
        }
        else
        {
            DriveChainOutOfRam(engine);
            LeaseChain(engine);
        }

        engine.Restart();
        PassThroughDisk(engine);

        AssertChainIsHere(engine);
    }

    [Fact]
    public void A_restart_promises_nothing_that_was_not_promised_before()
    {
        using var engine = OpenWithChain();
        DriveChainOutOfRam(engine);

        engine.Restart();

        AssertChainGoes(engine);
    }

    [Fact]
    public void What_nobody_was_promised_goes()
    {
        using var engine = OpenWithChain();

        AssertChainGoes(engine);
    }

    private static void LeaseChain(TestEngine engine) =>
        Assert.Equal(ChainBlocks, engine.Engine.MatchPrefix(engine.Tenant, new KeyRun(Scope.Bytes.Span, Hashes), engine.Leases, TimeSpan.FromHours(1)).Blocks);

    /// <summary>Writes other blocks until the chain, which was used and so is wanted on disk, is there and no longer in RAM.</summary>
    private static void DriveChainOutOfRam(TestEngine engine)
    {
        var next = 0;
        Eventually.HoldsBlocking(
            () =>
            {
                if (Tiers(engine).All(tiers => tiers == BlockTiers.Disk))
                {
                    return true;
                }

                // A victim that the disk did not get in time is gone, and comes again.
                PutChain(engine);
                PassBlock(engine, 100_000 + next++);
                Eventually.HoldsBlocking(() => DiskMoverTests.IsCleanAhead(engine), "the demoter to keep up");
                return false;
            },
            () => $"the chain on disk alone; its blocks are in {string.Join(", ", Tiers(engine))}");
    }

    private static IEnumerable<BlockTiers> Tiers(TestEngine engine) => Enumerable.Range(0, ChainBlocks)
        .Select(index => engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out var info) ? info.Tiers : BlockTiers.None);

    private static void AssertChainGoes(TestEngine engine)
    {
        var next = 0;
        Eventually.HoldsBlocking(
            () =>
            {
                PassBlock(engine, next++);
                return !Enumerable.Range(0, ChainBlocks).Any(index => engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out _));
            },
            "the end of the whole chain");
    }

    private static byte[] KeyOf(int index) => Scope.KeyOf(TestBytes.Hash(1, index));

    private static TestEngine OpenWithChain(long diskBytes = 16 << 20)
    {
        var engine = new TestEngine(options =>
        {
            options.ArenaBytes = 4 << 20;
            options.Disk.CapacityBytes = diskBytes;
            options.Disk.SegmentBytes = 1 << 20;
            options.Disk.UseDirectIo = false;
            options.ConnectionLeaseShare = options.TenantLeaseShare = 0.5;
            options.MaxExistenceLease = TimeSpan.FromHours(1);
        });
        PutChain(engine);
        return engine;
    }

    /// <summary>Writes what is not there of the chain, and uses it once: a full disk wants nothing else.</summary>
    private static void PutChain(TestEngine engine)
    {
        for (var index = 0; index < ChainBlocks; index++)
        {
            // A put of what is there is a use of it.
            if (!engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out _))
            {
                var parent = index == 0 ? [] : KeyOf(index - 1);
                Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(index), TestBytes.Payload(index, PayloadBytes), parent));
                engine.Get(KeyOf(index));
            }
        }
    }

    /// <summary>Writes other blocks, which are used once and so wanted on disk, until more records than the disk holds were dropped from it.</summary>
    private static void PassThroughDisk(TestEngine engine)
    {
        var next = 0;
        Eventually.HoldsBlocking(
            () =>
            {
                PassBlock(engine, next++);
                return engine.Engine.Snapshot().Tiers[1].Evictions > 300;
            },
            () => $"300 blocks that left the disk: {engine.Engine.Snapshot().Tiers[1]}");
    }

    private static void PassBlock(TestEngine engine, int index)
    {
        engine.PutContent(BitConverter.GetBytes(index), TestBytes.Payload(index, PayloadBytes));
        engine.Get(BitConverter.GetBytes(index));
    }

    private static void AssertChainIsHere(TestEngine engine)
    {
        for (var index = 0; index < ChainBlocks; index++)
        {
            Assert.True(engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out var info), $"block {index} is gone");
            Assert.True(engine.Get(KeyOf(index)).AsSpan().SequenceEqual(TestBytes.Payload(index, PayloadBytes)), $"block {index}, which was in {info.Tiers}, was not read");
        }
    }
}
