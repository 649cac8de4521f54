using System.Diagnostics;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Tiering;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Tiering;

public sealed class DiskMoverTests
{
    private const int PayloadBytes = 60_000;

    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);

    [Fact]
    public void What_RAM_cannot_hold_is_read_back_from_disk()
    {
        using var engine = Open();
        for (var index = 0; index < 100; index++)
        {
            engine.PutContent(KeyOf(index), TestBytes.Payload(index, PayloadBytes));
            Eventually.HoldsBlocking(() => engine.Engine.Snapshot().Tiers[0].DroppedBlocks == 0 && IsCleanAhead(engine), "the demoter to keep up");
        }

        Assert.True(engine.Engine.Snapshot().Tiers[0].Blocks < 100);
        for (var index = 0; index < 100; index++)
        {
            Assert.Equal(TestBytes.Payload(index, PayloadBytes), engine.Get(KeyOf(index)));
        }

        Assert.True(engine.Engine.Snapshot().Tiers[1].Hits > 0);
    }

    [Fact]
    public void While_nothing_is_known_of_what_is_used_again_the_newest_drives_out_the_oldest_of_a_full_disk()
    {
        using var engine = Open(diskBytes: 16 << 20);
        for (var index = 0; index < 600; index++)
        {
            engine.PutContent(KeyOf(index), TestBytes.Payload(index, PayloadBytes));
            Eventually.HoldsBlocking(() => IsCleanAhead(engine), "the demoter to keep up");
        }

        // The arena has room for 60 of them, and the disk for 250: nobody used any.
        Assert.Null(engine.Get(KeyOf(0)));
        Assert.InRange(Enumerable.Range(400, 130).Count(index => engine.Get(KeyOf(index)) is not null), 120, 130);
    }

    [Fact]
    public void Readers_who_drive_each_others_blocks_out_of_RAM_get_every_block()
    {
        const int Blocks = 100;
        using var engine = Open();
        for (var index = 0; index < Blocks; index++)
        {
            engine.PutContent(KeyOf(index), TestBytes.Payload(index, PayloadBytes));
            Eventually.HoldsBlocking(() => engine.Engine.Snapshot().Tiers[0].DroppedBlocks == 0 && IsCleanAhead(engine), "the demoter to keep up");
        }

        // Saved by the stop, so that no reader has to wait until what leaves is written.
        engine.Restart(keepArena: false);
        var misses = 0;
        Parallel.For(0, 4, new ParallelOptions { MaxDegreeOfParallelism = 4 }, seed =>
        {
            var random = new Random(seed);
            for (var read = 0; read < 1000; read++)
            {
                // A reader that waited in vain for another one, which a busy machine kept from loading the block, was given a miss by right.
                var startedAt = Stopwatch.GetTimestamp();
                if (engine.Get(KeyOf(random.Next(Blocks))) is null && Stopwatch.GetElapsedTime(startedAt) < Promoter.LoadPatience)
                {
                    Interlocked.Increment(ref misses);
                }
            }
        });

        Assert.Equal(0, misses);
        Assert.True(engine.Engine.Snapshot().Tiers[0].Blocks < Blocks);
    }

    [Fact]
    public void A_clean_stop_saves_RAM_so_that_a_reboot_loses_nothing()
    {
        using var engine = Open();
        for (var index = 0; index < 20; index++)
        {
            var parent = index == 0 ? [] : Scope.KeyOf(TestBytes.Hash(1, index - 1));
            engine.PutContent(Scope.KeyOf(TestBytes.Hash(1, index)), TestBytes.Payload(index, PayloadBytes), parent);
        }

        engine.Put("opaque"u8, "old"u8, BlockTraits.Opaque);
        engine.Put("opaque"u8, "new"u8, BlockTraits.Opaque);
        engine.Restart(keepArena: false);

        byte[] hashes = [.. Enumerable.Range(0, 20).SelectMany(index => TestBytes.Hash(1, index))];
        Assert.Equal(20, engine.Engine.MatchPrefix(engine.Tenant, new KeyRun(Scope.Bytes.Span, hashes), engine.Leases, TimeSpan.Zero).Blocks);
        Assert.Equal(TestBytes.Payload(7, PayloadBytes), engine.Get(Scope.KeyOf(TestBytes.Hash(1, 7))));
        Assert.Equal("new"u8.ToArray(), engine.Get("opaque"u8));
    }

    [Fact]
    public void A_block_on_disk_that_was_removed_stays_removed_after_a_reboot()
    {
        using var engine = Open();
        engine.Put("opaque"u8, "value"u8, BlockTraits.Opaque);
        engine.Restart(keepArena: false);
        Assert.True(engine.Engine.Remove(engine.Tenant, "opaque"u8));

        engine.Restart(keepArena: false);

        Assert.Null(engine.Get("opaque"u8));
    }

    [Fact]
    public void Pairs_are_whole_after_a_reboot()
    {
        using var engine = Open();
        engine.PutContent("kkv_bytes"u8, TestBytes.Payload(1, PayloadBytes));
        engine.Put("kmetadata"u8, "m"u8, new BlockTraits { IsContent = true, CompanionOf = "kkv_bytes"u8, Model = "", Revision = "" });

        engine.Restart(keepArena: false);

        Assert.Equal("m"u8.ToArray(), engine.Get("kmetadata"u8));
        Assert.Equal(TestBytes.Payload(1, PayloadBytes), engine.Get("kkv_bytes"u8));
    }

    [Theory]
    [InlineData(0, 3_600_000)]
    [InlineData(7_200_000, 3_600_000)]
    [InlineData(3_600_000, 7_200_000)]
    [InlineData(3_600_000, 0)]
    public void An_expiry_that_changes_on_disk_outlives_a_reboot(long firstIn, long thenIn)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        using var engine = Open();
        engine.Put("opaque"u8, "value"u8, BlockTraits.Opaque, new SealOptions { ExpiresAt = firstIn == 0 ? 0 : now + firstIn });
        engine.Restart(keepArena: false);
        var then = thenIn == 0 ? 0 : now + thenIn;

        Assert.True(engine.Engine.SetExpiry(engine.Tenant, "opaque"u8, then));
        engine.Restart(keepArena: false);

        Assert.True(engine.Engine.TryInspect(engine.Tenant, "opaque"u8, out var info));
        Assert.Equal(then, info.ExpiresAt);
        Assert.Equal("value"u8.ToArray(), engine.Get("opaque"u8));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_earlier_expiry_is_on_record_when_it_is_acknowledged(bool isInRam)
    {
        var soon = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() + 3_600_000;
        using var engine = Open();
        engine.Put("opaque"u8, "value"u8, BlockTraits.Opaque);
        engine.Restart(keepArena: false);
        if (isInRam)
        {
            Assert.Equal("value"u8.ToArray(), engine.Get("opaque"u8));
        }

        Assert.True(engine.Engine.SetExpiry(engine.Tenant, "opaque"u8, soon));

        // What another process would find if this one and the RAM ended now.
        using var afterCrash = new TestEngine(options =>
        {
            options.ArenaBytes = 4 << 20;
            options.ArenaDirectory = options.DataDirectory;
            options.Disk.CapacityBytes = 64 << 20;
            CopyDisk(engine.Options.DataDirectory, options.DataDirectory);
        });
        Assert.False(afterCrash.Engine.TryInspect(afterCrash.Tenant, "opaque"u8, out var info) && info.ExpiresAt != soon);
        Assert.Equal("value"u8.ToArray(), engine.Get("opaque"u8));
    }

    [Fact]
    public void Tiny_blocks_come_back_from_disk_after_a_reboot()
    {
        const int Blocks = 3_000;
        using var engine = Open();
        for (var index = 0; index < Blocks; index++)
        {
            engine.PutContent(KeyOf(index), TestBytes.Payload(index, 28));
            Eventually.HoldsBlocking(() => IsCleanAhead(engine), "the demoter to keep up");
        }

        engine.Restart(keepArena: false);

        var found = Enumerable.Range(0, Blocks).Where(index => engine.Get(KeyOf(index)) is not null).ToList();
        Assert.InRange(found.Count, 900, Blocks);
        Assert.All(found, index => Assert.Equal(TestBytes.Payload(index, 28), engine.Get(KeyOf(index))));
    }

    private static void CopyDisk(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != "lock"))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            try
            {
                File.Copy(file, target);
            }
            catch (FileNotFoundException)
            {
                // The engine goes on meanwhile: a spare segment got its name, or an empty one went.
            }
        }
    }

    private static TestEngine Open(long diskBytes = 64 << 20) => new(options =>
    {
        options.ArenaBytes = 4 << 20;
        options.Disk.CapacityBytes = diskBytes;
    });

    private static byte[] KeyOf(int index) => BitConverter.GetBytes(index);

    /// <summary>Whether the next puts find victims that are on disk.</summary>
    /// <param name="blocks">How many of those that leave next are looked at: the writer may hold the last of them open for an instant after it is on disk.</param>
    internal static bool IsCleanAhead(TestEngine engine, int blocks = 2)
    {
        var host = engine.Tenant.Host;
        List<Block> next = [];
        host.CollectNextToLeave(next, blocks, blocks, block => !block.IsOnDisk);
        return host.CapacityBytes - host.AllocatedBytes > host.CapacityBytes / 8 || next.Count == 0;
    }
}
