using KvMesh.Engine.Disk;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Disk;

/// <summary>The contract on a folder of this machine, past the page cache.</summary>
public sealed class LocalDiskTierTests : LocalDiskTierContract
{
    protected override bool UseDirectIo => true;
}

/// <summary>The contract on a folder of this machine, through the page cache.</summary>
public sealed class BufferedDiskTierTests : LocalDiskTierContract
{
    protected override bool UseDirectIo => false;
}

public abstract class LocalDiskTierContract : DiskTierContract
{
    private readonly TemporaryDirectory _directory = new();
    private readonly List<DiskTier> _abandoned = [];
    private LocalBlockFileSystem? _files;

    protected abstract bool UseDirectIo { get; }

    private protected override IBlockFileSystem Files => _files ??= new LocalBlockFileSystem(_directory.Path, UseDirectIo);

    [Fact]
    public void The_tier_looks_after_itself_on_its_own_thread()
    {
        using var tier = Open(runsMaintenance: true);
        for (var i = 0; i < 300; i++)
        {
            var block = Block($"key-{i}", 20_000);
            Eventually.HoldsBlocking(() => TryAppend(tier, block), () => $"room for {block.Key}: {tier.Snapshot()}");
        }

        Eventually.HoldsBlocking(() => tier.Snapshot().Syncs > 0, "a sync");
        Eventually.HoldsBlocking(() => tier.Snapshot().ReclaimedSegments > 5, () => $"more than five reclaimed segments: {tier.Snapshot()}");
        foreach (var key in Engine.Keys)
        {
            // Maintenance may be moving or dropping the record at this moment.
            var block = Block(key, 20_000);
            Eventually.HoldsBlocking(() => Engine[key].IsNone || block.Reads(tier, Engine[key]), $"a right read of {key}");
        }
    }

    [Fact]
    public void A_warm_read_allocates_nothing()
    {
        using var tier = Open();
        var block = Block("warm", 28);
        block.Append(tier, out var location);
        var digest = block.Digest;
        using var read = new AlignedBuffer(4096);

        Assert.Equal(0, Allocations.Of(ReadOften));

        void ReadOften()
        {
            for (var i = 0; i < 1000; i++)
            {
                tier.TryRead(location, digest, read.Span);
            }
        }
    }

    [Fact]
    public void A_folder_that_cannot_be_written_to_is_named()
    {
        File.WriteAllText(Path.Combine(_directory.Path, "file"), "");

        var failure = Assert.ThrowsAny<IOException>(() => new LocalBlockFileSystem(Path.Combine(_directory.Path, "file"), UseDirectIo));

        Assert.Contains(_directory.Path, failure.Message, StringComparison.Ordinal);
    }

    /// <summary>Nothing is called any more; its files stay open until the test is over, as nobody else has the handles.</summary>
    private protected override void Abandon(DiskTier tier) => _abandoned.Add(tier);

    protected override void Close() => _directory.Dispose();

    private bool TryAppend(DiskTier tier, TestBlock block)
    {
        if (!block.Append(tier, out var location))
        {
            return false;
        }

        Engine[block.Key] = location;
        return true;
    }
}
