using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.TestKit;
using static KvMesh.Engine.Tests.Host.EncodedRamTests;

namespace KvMesh.Engine.Tests.Host;

/// <summary>Blocks that lie encoded in RAM, after the process that encoded them; and on their way to a disk.</summary>
public sealed class EncodedRamRestartTests : IDisposable
{
    private const int Blocks = 120;
    private readonly TemporaryDirectory _arena = new();
    private readonly BrotliCoder _coder = new();

    /// <summary>False: blocks are encoded, and leave, only while somebody puts or reads; between two looks at an engine nothing moves.</summary>
    private bool _encodesInBackground = true;

    public void Dispose() => _arena.Dispose();

    [Fact]
    public void The_next_process_takes_over_what_is_encoded()
    {
        _encodesInBackground = false;
        using var engine = Filled();
        var there = There(engine);

        engine.Restart();

        AssertThere(engine, there);
        Assert.InRange(engine.Engine.Snapshot().EncodedBlocks, 1, Blocks);
    }

    [Fact]
    public void What_is_encoded_is_there_after_a_crash()
    {
        _encodesInBackground = false;
        using var engine = Filled();
        var there = There(engine);
        using var image = new CrashImage(engine);

        using var next = image.Open(options => Configure(options, 0), hostCoder: _coder);

        Assert.InRange(next.Engine.Snapshot().EncodedBlocks, 1, Blocks);
        AssertThere(next, there);
    }

    [Fact]
    public void A_process_that_cannot_decode_takes_no_encoded_bytes_for_a_block()
    {
        using var engine = Filled();
        using var image = new CrashImage(engine);

        using var next = image.Open(options => Configure(options, 0));

        Assert.Equal(0, next.Engine.Snapshot().EncodedBlocks);
        AssertNoneIsWrong(next, Blocks, least: 0);
        Fill(next, 20, first: Blocks);
        AssertNoneIsWrong(next, Blocks + 20, least: 20);
    }

    [Fact]
    public void What_was_removed_or_replaced_does_not_come_back_encoded()
    {
        using var engine = Filled();
        for (var index = 0; index < Blocks; index += 2)
        {
            engine.Engine.Remove(engine.Tenant, KeyOf(index));
        }

        Assert.Equal(SealStatus.Sealed, engine.Put("key"u8, PayloadOf(1), BlockTraits.Opaque));
        Eventually.HoldsBlocking(() => _coder.Encoded > 0 && engine.Engine.Snapshot().Arenas[0].AllocatedBytes > 0, "something to be encoded");
        Assert.Equal(SealStatus.Sealed, engine.Put("key"u8, PayloadOf(2), BlockTraits.Opaque));
        using var image = new CrashImage(engine);

        using var next = image.Open(options => Configure(options, 0), hostCoder: _coder);

        Assert.All(Enumerable.Range(0, Blocks / 2), half => Assert.Null(next.Get(KeyOf(2 * half))));
        Assert.Equal(PayloadOf(2), next.Get("key"u8));
    }

    [Fact]
    public void Damage_of_an_encoded_copy_is_a_miss_and_the_scrubber_finds_it()
    {
        using var engine = Filled();
        foreach (var block in EncodedAlone(engine))
        {
            var copy = block.Encoded!;
            engine.Tenant.Host.Arena.Data(copy.Extent.Offset + Engine.Host.Extent.PayloadOffset(copy.Form.PayloadBytes), 100)[50] ^= 1;
        }

        AssertNoneIsWrong(engine, Blocks, least: 0);
        Assert.InRange(engine.Engine.Snapshot().Integrity.Mismatches, 1, long.MaxValue);
        Assert.DoesNotContain(EncodedAlone(engine), block => !block.Encoded!.IsIntact);
    }

    [Fact]
    public void A_block_that_is_encoded_is_written_to_disk_as_it_lies()
    {
        using var engine = Filled(diskBytes: 64 << 20, diskCoder: new BrotliCoder());
        var disk = (BrotliCoder)engine.DiskCoder!;

        engine.Restart(keepArena: false);

        AssertNoneIsWrong(engine, Blocks, least: Blocks / 2);
        Assert.InRange(disk.Encoded, 0, Blocks - 1);
    }

    [Fact]
    public void A_disk_that_wants_blocks_as_they_are_gets_them_so()
    {
        using var engine = Filled(diskBytes: 64 << 20);

        engine.Restart(keepArena: false);
        engine.HostCoder = null;
        engine.Restart(keepArena: false);

        AssertNoneIsWrong(engine, Blocks, least: Blocks / 2);
        Assert.Equal(0, engine.Engine.Snapshot().EncodedBlocks);
    }

    private static IEnumerable<Block> EncodedAlone(TestEngine engine) =>
        Enumerable.Range(0, engine.Tenant.Host.Descriptors.HighWater).Select(engine.Tenant.Host.OwnerOf).OfType<Block>().Distinct()
            .Where(block => block is { IsResident: false, Encoded: not null });

    private static int[] There(TestEngine engine) =>
        [.. Enumerable.Range(0, Blocks).Where(index => engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out _))];

    private static void AssertThere(TestEngine engine, int[] there)
    {
        Assert.InRange(there.Length, 1, Blocks);

        // Reading decodes, and what is decoded may make others leave.
        Assert.All(there, index => Assert.True(engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out _)));
        AssertNoneIsWrong(engine, Blocks, least: there.Length / 2);
    }

    private TestEngine Filled(long diskBytes = 0, IPayloadCoder? diskCoder = null)
    {
        var engine = new TestEngine(options => Configure(options, diskBytes), diskCoder: diskCoder, hostCoder: _coder);
        Fill(engine, Blocks);
        Eventually.HoldsBlocking(() => EncodedAlone(engine).Any(), "blocks to be encoded");
        return engine;
    }

    private void Configure(EngineOptions options, long diskBytes)
    {
        var directory = options.DataDirectory;
        CrashImage.ArenaOf(_arena, diskBytes: diskBytes)(options);
        options.DataDirectory = directory;
        options.HostCoding.EncodeShare = 64;
        options.HostCoding.EncodeFrom = _encodesInBackground ? options.HostCoding.EncodeFrom : 1;
        options.Disk.EncodeShare = 1;
    }
}
