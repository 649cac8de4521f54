using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Tests.Disk;
using KvMesh.Engine.Tiering;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Engine.Tests.Tiering;

public sealed class DemotionWriterTests : IDisposable
{
    private static readonly DiskOptions Options = new() { Directory = "disk", CapacityBytes = 64 << 20, SegmentBytes = 16 << 20, RunsMaintenance = false };

    private readonly TemporaryDirectory _directory = new();
    private readonly Guid _store = Guid.NewGuid();
    private readonly SimulatedFileSystem _files = new(new Random(1));
    private readonly EngineHost _host;
    private readonly DiskTier _disk;
    private readonly DemotionWriter _writer;

    public DemotionWriterTests()
    {
        var options = new EngineOptions
        {
            DataDirectory = _directory.Path,
            ArenaBytes = 32 << 20,
            MaxBlocks = 1 << 14,
            Prefault = false,
            RemoveArenaOnStop = true,
        };
        _host = EngineHost.Open(options, TimeProvider.System, NullLogger.Instance);
        _disk = Open(_files, (in record, location) => false);
        _host.Registry.UseDisk(_disk);
        _writer = new DemotionWriter(_disk, _host.Registry, _host.Counters);
    }

    [Fact]
    public void Tiny_blocks_are_written_together()
    {
        const int Blocks = 3_000;
        List<Block> blocks = [.. Enumerable.Range(0, Blocks).Select(index => Put(index, payloadBytes: 28))];
        var before = _files.Steps;

        blocks.ForEach(block => Assert.True(_writer.TryWrite(block)));
        Assert.True(_writer.Flush());

        Assert.All(blocks, block => Assert.True(block.IsOnDisk));
        Assert.Equal(Blocks, blocks.Select(block => block.Disk).Distinct().Count());
        Assert.InRange(_files.Steps - before, 1, Blocks / 100);
    }

    [Fact]
    public void A_large_block_is_written_at_once()
    {
        var block = Put(1, payloadBytes: 1 << 20);

        Assert.True(_writer.TryWrite(block));

        Assert.True(block.IsOnDisk);
        Assert.Equal(0, _writer.Gathered);
    }

    [Theory]
    [InlineData(28)]
    [InlineData(1 << 20)]
    public void What_ends_earlier_than_the_record_that_is_being_written_says_is_in_no_next_run(int payloadBytes)
    {
        var kept = Put(1, payloadBytes);
        Assert.True(_writer.TryWrite(kept) && _writer.Flush());
        var block = Put(2, payloadBytes);
        using var mover = Mover();
        var writes = 0;
        _files.Fault = (operation, name) =>
        {
            // The record has its expiry and is not on disk yet.
            if (operation == "write" && name.Contains("seg", StringComparison.Ordinal) && writes++ == 0)
            {
                block.ExpiresAt = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() + 3_600_000;
                mover.NoteExpiry(block, isSooner: true);

                // Nothing that its writer does afterwards happens: the process has ended.
                _files.DiesAtStep = _files.Steps + 1;
            }

            return FileStatus.Ok;
        };
        _writer.TryWrite(block);
        _writer.Flush();
        Assert.True(_files.IsDead, "The writer told of the record, which was to be too late.");

        List<byte[]> found = [];
        using var next = Open(_files.Reopen(CrashKind.Process), (in record, location) =>
        {
            found.Add(record.Key.ToArray());
            return true;
        });
        Assert.Equal(kept.Key.ToArray(), Assert.Single(found));
    }

    [Fact]
    public void A_copy_whose_expiry_was_changed_and_changed_back_while_it_was_written_is_written_again()
    {
        var block = Put(1, payloadBytes: 28);
        using var mover = Mover();
        Assert.True(_writer.TryWrite(block));
        block.ExpiresAt = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() + 3_600_000;
        mover.NoteExpiry(block, isSooner: true);
        block.ExpiresAt = 0;
        mover.NoteExpiry(block, isSooner: false);

        Assert.True(_writer.Flush());
        Assert.False(block.IsOnDisk);

        Assert.True(_writer.TryWrite(block) && _writer.Flush());
        Assert.True(block.IsOnDisk);
    }

    public void Dispose()
    {
        _writer.Dispose();
        _disk.Dispose();
        _host.Dispose();
        _directory.Dispose();
    }

    private DiskTier Open(SimulatedFileSystem files, RecoveredRecordHandler onRecovered) => DiskTier.Open(
        Options, _store, files, new DiskReclaim(_host.Registry, _host.Tenants, TimeProvider.System), onRecovered, TimeProvider.System, NullLogger.Instance);

    private DiskMover Mover() => new(
        _disk, _host.Registry, new Promoter(_disk, _host.Registry, _host.Evictor, _host.Counters, TimeProvider.System, ofDisk: null), _host.Counters, TimeProvider.System);

    private Block Put(int index, int payloadBytes)
    {
        var blocks = new BlockWriter(_host.Registry, _host.Evictor, _host.Counters, maxBlockBytes: 1 << 24);
        var status = blocks.TryReserve(_host.Tenants.All[0], BitConverter.GetBytes(index), payloadBytes, BlockTraits.Opaque, out var reservation);
        Assert.Equal(ReserveStatus.Reserved, status);
        TestBytes.Payload(index, payloadBytes).CopyTo(reservation!.Payload);
        KvMesh.Protocol.Integrity.ChecksumTable.Compute(reservation.Payload, reservation.Checksums);
        Assert.Equal(SealStatus.Sealed, blocks.Seal(reservation.End(), default));
        return reservation.Block;
    }
}
