using KvMesh.Engine.Disk;
using KvMesh.Protocol;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>What the disk tier promises on every file system.</summary>
public abstract class DiskTierContract : IDisposable
{
    protected const int SegmentBytes = 256 * 1024;
    private static readonly Guid Store = new("11111111-2222-3333-4444-555555555555");
    private readonly List<TestBlock> _blocks = [];
    private protected RecordingObserver Engine { get; private set; } = new();

    private protected SimulatedClock Time { get; } = new();

    private protected abstract IBlockFileSystem Files { get; }

    protected virtual int Segments => 8;

    /// <summary>Whether the blocks of the suite are stored encoded.</summary>
    protected virtual bool HoldsEncoded => false;

    [Fact]
    public void Reads_back_what_was_appended()
    {
        using var tier = Open();
        foreach (var bytes in new[] { 0, 1, 28, 3000, 4096, 65536, 65537, 200_000 })
        {
            var block = Block($"key-{bytes}", bytes);

            Assert.True(block.Append(tier, out var location));
            Assert.True(block.Reads(tier, location));
        }
    }

    [Fact]
    public void Keeps_a_tiny_value_in_one_granule()
    {
        using var tier = Open();

        Assert.True(Block("tiny", 28).Append(tier, out _));

        Assert.Equal(Limits.GranuleBytes, tier.Snapshot().UsedBytes);
    }

    [Fact]
    public void Reads_a_range_of_a_large_and_of_a_tiny_record()
    {
        using var tier = Open();
        var large = Block("large", 200_000);
        var tiny = Block("tiny", 28);
        large.Append(tier, out var largeAt);
        tiny.Append(tier, out var tinyAt);
        using var read = new AlignedBuffer(65536);

        Assert.True(tier.TryReadRange(largeAt, 131072, read.Span));
        Assert.True(read.Span.SequenceEqual(large.Extent.Slice(131072, 65536)));
        Assert.True(tier.TryReadRange(tinyAt, 0, read.Span[..4096]));
        Assert.True(read.Span[..28].SequenceEqual(tiny.Extent[..28]));
        Assert.False(tier.TryReadRange(largeAt, 200_704, read.Span));
    }

    [Fact]
    public void Refuses_a_record_larger_than_a_segment()
    {
        using var tier = Open();

        Assert.False(Block("huge", SegmentBytes).Append(tier, out _));

        Assert.Equal(1, tier.Snapshot().OversizedAppends);
    }

    [Fact]
    public void Appends_a_batch_with_one_write_and_reads_each_of_it()
    {
        using var tier = Open();
        using var batch = tier.CreateBatch();
        var blocks = Enumerable.Range(0, 5).Select(i => Block($"small-{i}", 28 + (i * 2000))).ToArray();
        foreach (var block in blocks)
        {
            Assert.True(batch.TryAdd(block.Record, block.Extent));
        }

        var locations = new DiskLocation[5];
        Assert.True(tier.TryAppend(batch, locations));

        Assert.Equal(0, batch.Count);
        Assert.All(blocks.Zip(locations), pair => Assert.True(pair.First.Reads(tier, pair.Second)));
    }

    [Fact]
    public void A_full_batch_takes_no_more()
    {
        using var tier = Open();
        using var batch = tier.CreateBatch();
        var block = Block("part", 20_000);
        var added = 0;
        while (batch.TryAdd(block.Record, block.Extent))
        {
            added++;
        }

        Assert.Equal(SegmentBytes / 4 / 24576, added);
        Assert.False(batch.Fits(Block("large", 100_000).Record));
    }

    [Fact]
    public void A_released_record_cannot_be_read()
    {
        using var tier = Open();
        var block = Block("gone", 5000);
        block.Append(tier, out var location);

        tier.Release(location, durable: false);
        tier.Release(location, durable: false);

        Assert.False(block.Reads(tier, location));
        Assert.Equal((0, 12288), (tier.Snapshot().LiveBytes, tier.Snapshot().DeadBytes));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_record_that_died_while_it_was_written_is_in_no_next_run(bool isGathered)
    {
        var (old, kept) = (Block("key", 5000), Block("other", 5000));
        using (var tier = Open())
        {
            (old.Sequence, kept.Sequence) = (tier.BeginWrite(), tier.BeginWrite());
            tier.Disown(old.Sequence);
            if (isGathered)
            {
                using var batch = tier.CreateBatch();
                Assert.True(batch.TryAdd(old.Record, old.Extent) && batch.TryAdd(kept.Record, kept.Extent) && tier.TryAppend(batch, new DiskLocation[2]));
            }
            else
            {
                Assert.True(old.Append(tier, out _) && kept.Append(tier, out _));
            }

            // The process ends before the writer can release it.
        }

        for (var run = 0; run < 2; run++)
        {
            using var next = Open();
            Assert.Equal(1, next.Snapshot().RecoveredRecords);
            Assert.True(kept.Reads(next, Engine[kept.Key]));
        }
    }

    [Fact]
    public void Reads_nothing_at_a_wrong_location_or_for_a_wrong_key()
    {
        using var tier = Open();
        var block = Block("here", 5000);
        block.Append(tier, out var location);
        var other = Block("there", 5000);

        Assert.False(other.Reads(tier, location));
        Assert.False(block.Reads(tier, location with { Offset = location.Offset + 4096 }));
        Assert.False(block.Reads(tier, location with { Offset = -4096 }));
        Assert.False(block.Reads(tier, location with { Segment = 99 }));
        Assert.False(block.Reads(tier, default));
    }

    [Fact]
    public void Finds_all_again_after_a_clean_end()
    {
        var blocks = new List<TestBlock>();
        using (var tier = Open())
        {
            blocks.AddRange(AppendMany(tier, 30, 10_000));
        }

        using var next = Open();

        Assert.Equal(30, next.Snapshot().RecoveredRecords);
        Assert.All(blocks, block => Assert.True(block.Reads(next, Engine[block.Key])));
    }

    [Fact]
    public void Gives_back_every_field_of_a_record()
    {
        using (var tier = Open())
        {
            Block("fields", 70_000, version: 5, isContent: false).Append(tier, out _);
        }

        var seen = 0;
        using var next = Open((in DiskRecord record, DiskLocation location) =>
        {
            seen++;
            var expected = Block("fields", 70_000, version: 5, isContent: false).Record;
            Assert.True(record.Tenant.SequenceEqual(expected.Tenant) && record.Key.SequenceEqual(expected.Key));
            Assert.True(record.Model.SequenceEqual("model"u8) && record.Revision.SequenceEqual("r1"u8));
            Assert.Equal((expected.Digest, expected.Parent, expected.Flags), (record.Digest, record.Parent, record.Flags));
            Assert.Equal((expected.PayloadBytes, expected.ExtentBytes), (record.PayloadBytes, record.ExtentBytes));
            Assert.Equal((expected.TableChecksum, expected.TrailerChecksum), (record.TableChecksum, record.TrailerChecksum));
            Assert.Equal((expected.ScopeEpoch, expected.Hits), (record.ScopeEpoch, record.Hits));
            Assert.Equal((expected.ExpiresAt, expected.LastUse), (record.ExpiresAt, record.LastUse));
            Assert.Equal(1, record.Sequence);
            return true;
        });
        Assert.Equal(1, seen);
    }

    [Fact]
    public void Finds_all_again_without_an_end()
    {
        var tier = Open();
        var blocks = AppendMany(tier, 30, 10_000);
        Abandon(tier);

        using var next = Open();

        Assert.All(blocks, block => Assert.True(block.Reads(next, Engine[block.Key])));
    }

    [Fact]
    public void Finds_what_was_appended_after_a_checkpoint()
    {
        var tier = Open();
        var blocks = AppendMany(tier, 5, 10_000);
        Assert.True(tier.Checkpoint());
        var later = Block("later", 30_000);
        later.Append(tier, out _);
        Abandon(tier);

        using var next = Open();

        Assert.All(blocks.Append(later), block => Assert.True(block.Reads(next, Engine[block.Key])));
    }

    [Fact]
    public void A_durably_released_record_stays_gone_without_an_end()
    {
        var tier = Open();
        AppendMany(tier, 3, 5000);
        tier.Checkpoint();
        tier.Release(Engine["key-1"], durable: true);
        Abandon(tier);

        using var next = Open();

        Assert.Equal(["key-0", "key-2"], Engine.Keys.Order());
    }

    [Fact]
    public void A_record_that_the_engine_refuses_at_the_start_does_not_come_again()
    {
        using (var tier = Open())
        {
            AppendMany(tier, 3, 5000);
        }

        Open((in DiskRecord _, DiskLocation _) => false).Dispose();
        using var next = Open();

        Assert.Empty(Engine.Keys);
    }

    [Fact]
    public void Of_several_versions_of_a_key_the_latest_comes_back()
    {
        var tier = Open();
        for (var version = 1; version <= 3; version++)
        {
            Block("key", 6000 * version, version, isContent: false).Append(tier, out _);
        }

        Abandon(tier);
        tier = Open();
        Assert.True(Block("key", 18_000, 3, isContent: false).Reads(tier, Engine["key"]));

        // The older ones are dead for good, even when the latest goes.
        tier.Release(Engine["key"], durable: true);
        Abandon(tier);
        using var next = Open();
        Assert.Empty(Engine.Keys);
    }

    [Fact]
    public void Reclaims_the_oldest_segment_and_stays_within_its_capacity()
    {
        using var tier = Open();
        for (var i = 0; i < 200; i++)
        {
            Append(tier, Block($"key-{i}", 20_000));
            Settle(tier);
            Assert.True(tier.Snapshot().FileBytes <= Segments * SegmentBytes);
        }

        var snapshot = tier.Snapshot();
        Assert.True(snapshot.ReclaimedSegments > 5, $"{snapshot.ReclaimedSegments} segments were reclaimed.");
        Assert.Contains("key-0", Engine.Forgotten);
        Assert.DoesNotContain("key-199", Engine.Forgotten);
        Assert.Equal(snapshot.LiveRecords, Engine.Keys.Count);
        Assert.All(Engine.Keys, key => Assert.True(Block(key, 20_000).Reads(tier, Engine[key])));
    }

    [Fact]
    public void Copies_records_that_were_used_out_of_a_segment_before_it_goes()
    {
        using var tier = Open();
        Engine.Keeps = key => key is "key-0" or "key-3" or "tiny-0";
        Append(tier, Block("tiny-0", 28));
        for (var i = 0; i < 300; i++)
        {
            Append(tier, Block($"key-{i}", 20_000));
            Settle(tier);
        }

        Assert.True(Engine.Kept.Count(key => key == "key-3") > 1);
        Assert.True(Block("key-0", 20_000).Reads(tier, Engine["key-0"]));
        Assert.True(Block("key-3", 20_000).Reads(tier, Engine["key-3"]));
        Assert.True(Block("tiny-0", 28).Reads(tier, Engine["tiny-0"]));
        Assert.DoesNotContain("key-1", Engine.Keys);
    }

    [Fact]
    public void A_record_that_was_used_once_is_copied_once()
    {
        using var tier = Open();
        Append(tier, Block("key-0", 20_000));
        Engine.Hits["key-0"] = 2;
        for (var i = 1; i < 300; i++)
        {
            Append(tier, Block($"key-{i}", 20_000));
            Settle(tier);
        }

        Assert.Single(Engine.Kept, "key-0");
        Assert.Contains("key-0", Engine.Forgotten);
    }

    [Fact]
    public void What_was_promised_stays_although_it_is_more_than_half_of_a_segment()
    {
        using var tier = Open();
        Engine.Promises = key => int.Parse(key["key-".Length..], null) is >= 3 and < 13;
        for (var i = 0; i < 300; i++)
        {
            Append(tier, Block($"key-{i}", 20_000));
            Settle(tier);
            Time.Advance(TimeSpan.FromSeconds(0.25));
            Assert.True(tier.Snapshot().FileBytes <= Segments * SegmentBytes);
        }

        Assert.Equal(0, tier.Snapshot().BrokenPromises);
        for (var i = 3; i < 13; i++)
        {
            Assert.True(Block($"key-{i}", 20_000).Reads(tier, Engine[$"key-{i}"]), $"key-{i}");
        }

        // The promises end, and so does what they kept.
        Engine.Promises = _ => false;
        for (var i = 300; i < 600; i++)
        {
            Append(tier, Block($"key-{i}", 20_000));
            Settle(tier);
            Time.Advance(TimeSpan.FromSeconds(0.25));
        }

        Assert.DoesNotContain("key-3", Engine.Keys);
    }

    [Fact]
    public void Promises_keep_half_of_the_disk_and_those_beyond_it_are_broken_and_counted()
    {
        using var tier = Open();
        Engine.Promises = _ => true;
        for (var i = 0; i < 300; i++)
        {
            Append(tier, Block($"key-{i}", 20_000));
            Settle(tier);
            Time.Advance(TimeSpan.FromSeconds(0.25));
            Assert.True(tier.Snapshot().FileBytes <= Segments * SegmentBytes);
        }

        var snapshot = tier.Snapshot();
        Assert.InRange(snapshot.BrokenPromises, 1, 300);
        Assert.True(snapshot.LiveBytes >= (Segments / 2) * SegmentBytes / 2, $"only {snapshot.LiveBytes} bytes of what was promised are left");
        Assert.All(Engine.Keys, key => Assert.True(Block(key, 20_000).Reads(tier, Engine[key])));
    }

    [Fact]
    public void Frees_space_also_when_everything_was_used()
    {
        using var tier = Open();
        Engine.Keeps = _ => true;
        for (var i = 0; i < 300; i++)
        {
            Append(tier, Block($"key-{i}", 20_000));
            Settle(tier);
        }

        Assert.Equal(0, tier.Snapshot().RefusedAppends);
        Assert.All(Engine.Keys, key => Assert.True(Block(key, 20_000).Reads(tier, Engine[key])));
    }

    [Fact]
    public void Reclaims_redundant_and_dead_records_first()
    {
        using var tier = Open();
        var i = 0;
        for (; tier.Snapshot().Segments < 5; i++)
        {
            Append(tier, Block($"key-{i}", 20_000));
        }

        var worthless = Engine.Keys.Where(key => Engine[key].Segment == 3).ToArray();
        foreach (var key in worthless.Take(6))
        {
            tier.MarkRedundant(Engine[key], true);
        }

        foreach (var key in worthless.Skip(6))
        {
            tier.Release(Engine[key], durable: false);
        }

        while (tier.Snapshot().ReclaimedSegments == 0)
        {
            Append(tier, Block($"key-{i++}", 20_000));
            Settle(tier);
        }

        Assert.All(Engine.Forgotten, key => Assert.Contains(key, worthless));
    }

    [Fact]
    public void A_record_removed_while_it_is_copied_is_gone_for_good()
    {
        var tier = Open();
        Engine.Keeps = key => key == "key-0";
        Engine.BeforeMoved = key =>
        {
            var location = Engine[key];
            if (Engine.Remove(key))
            {
                tier.Release(location, durable: true);
            }
        };
        for (var i = 0; i < 120; i++)
        {
            Append(tier, Block($"key-{i}", 20_000, isContent: false));
            Settle(tier);
        }

        Abandon(tier);
        using var next = Open();

        Assert.DoesNotContain("key-0", Engine.Keys);
    }

    [Fact]
    public void Readers_during_reclamation_get_the_right_bytes_or_a_miss()
    {
        using var tier = Open();
        Engine.Keeps = key => key.EndsWith('7');
        var blocks = Enumerable.Range(0, 400).Select(i => Block($"key-{i}", 9000)).ToArray();
        using var stop = new CancellationTokenSource();
        long hits = 0;
        var failures = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
        var readers = Enumerable.Range(0, 3).Select(seed => new Thread(() =>
        {
            try
            {
                var random = new Random(seed);
                while (!stop.IsCancellationRequested)
                {
                    var block = blocks[random.Next(blocks.Length)];
                    var location = Engine[block.Key];
                    if (!location.IsNone && block.Reads(tier, location))
                    {
                        Interlocked.Increment(ref hits);
                    }
                }
            }
            catch (Exception failure)
            {
                failures.Enqueue(failure);
            }
        })).ToArray();
        Array.ForEach(readers, reader => reader.Start());

        foreach (var block in blocks)
        {
            Append(tier, block);
            Settle(tier);
        }

        Eventually.HoldsBlocking(() => Interlocked.Read(ref hits) > 100, () => $"100 hits of the readers; {hits} were there");
        stop.Cancel();
        Array.ForEach(readers, reader => reader.Join());
        Assert.Empty(failures);
        Assert.True(tier.Snapshot().ReclaimedSegments > 3);
    }

    [Fact]
    public void Appends_of_several_threads_are_all_read_back()
    {
        var tier = Open();
        var blocks = Enumerable.Range(0, 4).Select(thread => Enumerable.Range(0, 10).Select(i => Block($"t{thread}-{i}", 1000 * i)).ToArray()).ToArray();
        var threads = blocks.Select(own => new Thread(() => Array.ForEach(own, block => Append(tier, block)))).ToArray();
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());

        Assert.All(blocks.SelectMany(own => own), block => Assert.True(block.Reads(tier, Engine[block.Key])));
        Abandon(tier);
        using var next = Open();
        Assert.All(blocks.SelectMany(own => own), block => Assert.True(block.Reads(next, Engine[block.Key])));
    }

    [Fact]
    public void Another_data_directorys_segments_are_set_aside()
    {
        using (var tier = Open())
        {
            AppendMany(tier, 3, 5000);
        }

        using var other = Open(store: new Guid("99999999-2222-3333-4444-555555555555"));

        Assert.Equal(0, other.Snapshot().RecoveredRecords);
        Assert.True(other.Snapshot().ForeignFiles >= 1);
        Assert.True(Files.List(out var names) == FileStatus.Ok && names.Any(name => name.EndsWith(".kvm.aside", StringComparison.Ordinal)));
        Assert.True(Block("new", 5000).Append(other, out _));
    }

    public void Dispose()
    {
        Close();
        _blocks.ForEach(block => block.Dispose());
        GC.SuppressFinalize(this);
    }

    /// <summary>Opens the folder as a new process with a new engine would.</summary>
    private protected DiskTier Open(RecoveredRecordHandler? onRecovered = null, Guid? store = null, bool runsMaintenance = false)
    {
        Engine = new RecordingObserver();
        var options = new DiskOptions
        {
            Directory = "disk",
            CapacityBytes = Segments * SegmentBytes,
            SegmentBytes = SegmentBytes,
            RunsMaintenance = runsMaintenance,
        };
        return DiskTier.Open(
            options, store ?? Store, Files, Engine, onRecovered ?? Engine.Recovered, runsMaintenance ? TimeProvider.System : Time,
            NullLogger.Instance);
    }

    /// <summary>The process ends here: nothing more is written.</summary>
    private protected abstract void Abandon(DiskTier tier);

    protected virtual void Close()
    {
    }

    private protected TestBlock Block(string key, int payloadBytes, int version = 1, bool isContent = true)
    {
        var block = new TestBlock(key, payloadBytes, version, isContent, HoldsEncoded);
        lock (_blocks)
        {
            _blocks.Add(block);
        }

        return block;
    }

    private protected void Append(DiskTier tier, TestBlock block)
    {
        Assert.True(block.Append(tier, out var location), $"{block.Key} was refused: {tier.Snapshot()}");
        Engine[block.Key] = location;
    }

    private protected List<TestBlock> AppendMany(DiskTier tier, int count, int payloadBytes, bool isContent = true)
    {
        var blocks = Enumerable.Range(0, count).Select(i => Block($"key-{i}", payloadBytes, isContent: isContent)).ToList();
        blocks.ForEach(block => Append(tier, block));
        return blocks;
    }

    private protected static void Settle(DiskTier tier)
    {
        for (var steps = 0; tier.Maintain(); steps++)
        {
            Assert.True(steps < 1000, "Maintenance does not come to an end.");
        }
    }
}
