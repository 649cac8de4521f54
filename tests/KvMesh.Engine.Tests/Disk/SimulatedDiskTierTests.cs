using KvMesh.Engine.Disk;
using KvMesh.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>The contract on the simulated folder, and what only there can be made to happen: damage and failing calls.</summary>
public class SimulatedDiskTierTests : DiskTierContract
{
    private SimulatedFileSystem _files = new(new Random(7));

    private protected override IBlockFileSystem Files => _files;

    private string FirstSegment => _files.Names.Where(name => name.EndsWith(".kvm", StringComparison.Ordinal)).Order().First();

    [Fact]
    public void A_torn_tail_is_cut_and_what_is_before_it_stays()
    {
        var tier = Open();
        AppendMany(tier, 3, 10_000);
        Abandon(tier);
        _files.Flip(FirstSegment, Engine["key-2"].Offset + 100);

        using var next = Open();

        Assert.Equal(["key-0", "key-1"], Engine.Keys.Order());
        Assert.Equal(1, next.Snapshot().TornTails);
    }

    [Fact]
    public void A_record_whose_extent_is_torn_is_not_recovered()
    {
        var tier = Open();
        AppendMany(tier, 3, 10_000);
        Abandon(tier);
        _files.Flip(FirstSegment, Engine["key-1"].Offset + Limits.GranuleBytes + 5000);

        using var next = Open();

        Assert.Equal(["key-0", "key-2"], Engine.Keys.Order());
        Assert.Equal(1, next.Snapshot().CorruptRecords);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(12)]
    [InlineData(40)]
    [InlineData(70)]
    [InlineData(300)]
    public void A_damaged_list_is_replaced_by_the_headers(long offset)
    {
        using (var tier = Open())
        {
            AppendMany(tier, 5, 10_000);
        }

        _files.Flip(FirstSegment.Replace(".kvm", ".list"), offset);
        using var next = Open();

        Assert.Equal(5, Engine.Keys.Count);
    }

    [Fact]
    public void A_missing_list_is_replaced_by_the_headers()
    {
        using (var tier = Open())
        {
            AppendMany(tier, 5, 10_000);
        }

        _files.Delete(FirstSegment.Replace(".kvm", ".list"));
        using var next = Open();

        Assert.Equal(5, Engine.Keys.Count);
    }

    [Fact]
    public void Without_a_whole_log_of_removals_only_content_comes_back()
    {
        using (var tier = Open())
        {
            Append(tier, Block("content", 5000));
            Append(tier, Block("opaque", 5000, isContent: false));
            Append(tier, Block("removed", 5000, isContent: false));
            tier.Release(Engine["removed"], durable: true);
        }

        var log = Assert.Single(_files.Names, name => name.EndsWith(".log", StringComparison.Ordinal));
        _files.Flip(log, 50);
        Open().Dispose();
        Assert.Equal(["content"], Engine.Keys);

        // And it stays that way once there is a whole log again.
        using var next = Open();
        Assert.Equal(["content"], Engine.Keys);
    }

    [Fact]
    public void A_lost_log_of_removals_counts_as_one_that_is_not_whole()
    {
        using (var tier = Open())
        {
            Append(tier, Block("content", 5000));
            Append(tier, Block("opaque", 5000, isContent: false));
        }

        _files.Delete(_files.Names.Single(name => name.EndsWith(".log", StringComparison.Ordinal)));
        using var next = Open();

        Assert.Equal(["content"], Engine.Keys);
    }

    [Fact]
    public void A_segment_of_another_version_is_set_aside()
    {
        using (var tier = Open())
        {
            AppendMany(tier, 3, 5000);
        }

        var name = FirstSegment;
        _files.Flip(name, 8);
        using var next = Open();

        Assert.Empty(Engine.Keys);
        Assert.Contains(name + ".aside", _files.Names);
        Assert.Equal(1, next.Snapshot().ForeignFiles);
    }

    [Fact]
    public void A_foreign_file_under_our_name_is_set_aside_and_others_are_left_alone()
    {
        _files.Put("segment-00000005.kvm", [1, 2, 3]);
        _files.Put("removals-00000001.log", [4]);
        _files.Put("segment-00000005.kvm.aside", [5]);
        _files.Put("holiday.jpg", [6]);
        _files.Put("notes.tmp", [7]);

        using var tier = Open();
        Append(tier, Block("key", 5000));

        Assert.Contains("holiday.jpg", _files.Names);
        Assert.Contains("notes.tmp", _files.Names);
        Assert.Contains("segment-00000005.kvm.aside-2", _files.Names);
        Assert.True(Engine["key"].Segment > 5, "A number that was used is not used again.");
    }

    [Fact]
    public void Damage_to_a_header_is_a_miss()
    {
        using var tier = Open();
        var block = AppendMany(tier, 1, 10_000)[0];
        _files.Flip(FirstSegment, Engine["key-0"].Offset + 64);

        Assert.False(block.Reads(tier, Engine["key-0"]));
        Assert.Equal(1, tier.Snapshot().CorruptRecords);
    }

    [Fact]
    public void A_failing_read_is_a_miss()
    {
        using var tier = Open();
        var block = AppendMany(tier, 1, 10_000)[0];
        _files.Fault = (operation, _) => operation == "read" ? FileStatus.Failed : FileStatus.Ok;

        Assert.False(block.Reads(tier, Engine["key-0"]));
        Assert.Equal(1, tier.Snapshot().ReadErrors);
    }

    [Fact]
    public void A_failing_write_pauses_writing_and_loses_only_itself()
    {
        var tier = Open();
        AppendMany(tier, 2, 10_000);
        _files.Fault = (operation, name) => operation == "write" && name.EndsWith(".kvm.tmp", StringComparison.Ordinal) ? FileStatus.Failed : FileStatus.Ok;
        var failed = Block("failed", 10_000, isContent: false);
        Assert.False(failed.Append(tier, out _));
        _files.Fault = null;

        Assert.False(failed.Append(tier, out _));
        Assert.Equal((1, 1), (tier.Snapshot().WriteErrors, tier.Snapshot().RefusedAppends));

        Time.Advance(TimeSpan.FromSeconds(1));
        Settle(tier);
        Append(tier, Block("after", 10_000));
        Abandon(tier);
        using var next = Open();
        Assert.Equal(["after", "key-0", "key-1"], Engine.Keys.Order());
    }

    [Fact]
    public void A_full_file_system_is_a_smaller_cache()
    {
        using var tier = Open();
        _files.Fault = (operation, _) =>
            operation == "create" && _files.Names.Count(name => name.EndsWith(".kvm", StringComparison.Ordinal)) >= 4 ? FileStatus.NoSpace : FileStatus.Ok;
        var kept = 0;
        for (var i = 0; i < 200; i++)
        {
            var block = Block($"key-{i}", 20_000);
            if (block.Append(tier, out var location))
            {
                Engine[block.Key] = location;
                kept++;
            }

            Settle(tier);
            Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.True(kept > 100, $"{kept} of 200 were kept.");
        Assert.True(tier.Snapshot().WriteErrors > 0);
        Assert.True(tier.Snapshot().FileBytes <= 4 * SegmentBytes);
        Assert.All(Engine.Keys, key => Assert.True(Block(key, 20_000).Reads(tier, Engine[key])));
    }

    [Fact]
    public void A_failing_sync_is_told_and_the_segment_gets_no_more()
    {
        using var tier = Open();
        AppendMany(tier, 1, 10_000);
        _files.Fault = (operation, _) => operation == "sync" ? FileStatus.Failed : FileStatus.Ok;
        Assert.False(tier.Sync());
        _files.Fault = null;

        Append(tier, Block("later", 10_000));

        Assert.NotEqual(Engine["key-0"].Segment, Engine["later"].Segment);
        Assert.Equal(1, tier.Snapshot().SyncErrors);
        Assert.True(tier.Sync());
    }

    [Fact]
    public void A_removal_that_cannot_be_logged_is_written_into_the_record()
    {
        var tier = Open();
        AppendMany(tier, 2, 10_000, isContent: false);
        _files.Fault = (operation, name) => operation == "write" && name.StartsWith("removals-", StringComparison.Ordinal) ? FileStatus.Failed : FileStatus.Ok;
        tier.Release(Engine["key-0"], durable: true);
        _files.Fault = null;
        Abandon(tier);

        using var next = Open();

        Assert.Equal(["key-1"], Engine.Keys);
    }

    [Fact]
    public void A_folder_that_fails_at_every_call_is_an_empty_cache()
    {
        using var tier = Open();
        _files.Fault = (operation, _) => operation == "read" ? FileStatus.Ok : FileStatus.Failed;

        for (var i = 0; i < 20; i++)
        {
            Assert.False(Block($"key-{i}", 10_000).Append(tier, out _));
            Settle(tier);
            Time.Advance(TimeSpan.FromSeconds(10));
        }

        Assert.Equal((0, 0), (tier.Snapshot().Segments, tier.Snapshot().LiveRecords));
    }

    [Fact]
    public void The_log_of_removals_does_not_grow_for_ever()
    {
        using var tier = Open();
        var block = Block("overwritten", 28, isContent: false);
        for (var i = 0; i < 20_000; i++)
        {
            Assert.True(block.Append(tier, out var location));
            tier.Release(location, durable: true);
            if (i % 50 == 0)
            {
                Settle(tier);
            }
        }

        Settle(tier);
        var log = Assert.Single(_files.Names, name => name.EndsWith(".log", StringComparison.Ordinal));
        Assert.True(_files.LengthOf(log) < 16 * 16_384, $"The log has {_files.LengthOf(log)} bytes.");
    }

    [Fact]
    public void A_longest_key_makes_a_record_and_a_longer_one_is_a_bug()
    {
        using var tier = Open();
        var longest = Block(new string('k', Limits.MaxKeyBytes), 28);
        Assert.True(longest.Append(tier, out var location));
        Assert.True(longest.Reads(tier, location));

        var longer = Block(new string('k', Limits.MaxKeyBytes + 1), 28);
        Assert.Throws<ArgumentOutOfRangeException>(() => longer.Append(tier, out _));
    }

    [Fact]
    public void Options_that_cannot_be_used_are_refused()
    {
        Assert.Throws<ArgumentException>(() => DiskTier.Open(
            new DiskOptions(), Guid.Empty, _files, new RecordingObserver(), (in DiskRecord _, DiskLocation _) => true, Time, NullLogger.Instance));
    }

    /// <summary>The abandoned tier must not touch the folder of its successor.</summary>
    private protected override void Abandon(DiskTier tier) => _files = _files.Reopen(CrashKind.Process);
}
