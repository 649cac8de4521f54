using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Tests.Tiering;
using KvMesh.Protocol.Coding;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Coding;

/// <summary>Blocks of a whole engine that lie encoded on disk: evicted, read again, over restarts, crashes and changes of the policy.</summary>
public sealed class EncodedBlockTests : IDisposable
{
    private const int Blocks = 100;
    private const int PayloadBytes = 60_000;
    private readonly TemporaryDirectory _arena = new();
    private readonly BrotliCoder _coder = new();

    private static CodecKinds Kinds { get; } = CodecKinds.Of([BrotliCoder.Id]);

    public void Dispose() => _arena.Dispose();

    [Fact]
    public void What_RAM_cannot_hold_is_decoded_from_disk()
    {
        using var engine = Filled();

        var coding = engine.Engine.Snapshot().Coding;
        Assert.InRange(coding.Codecs.Single().EncodedBlocks, 1, long.MaxValue);
        AssertAllThere(engine);
        coding = engine.Engine.Snapshot().Coding;
        Assert.InRange(coding.Codecs.Single().DecodedBlocks, 1, long.MaxValue);
        Assert.Equal(0, coding.UndecodableBlocks);
        Assert.Equal(0, engine.Engine.Snapshot().Integrity.Mismatches);
    }

    [Fact]
    public void Encoded_blocks_outlive_a_restart_and_a_policy_of_raw()
    {
        using var engine = Filled();
        engine.DiskCoder = new BrotliCoder { Advice = CodingAdvice.Raw };

        engine.Restart(keepArena: false);

        AssertAllThere(engine);
        Assert.InRange(engine.Engine.Snapshot().Coding.Codecs.Single().DecodedBlocks, 1, long.MaxValue);
    }

    [Fact]
    public void Blocks_of_before_are_read_by_an_engine_that_encodes()
    {
        using var engine = Filled(CodingAdvice.Raw);
        engine.DiskCoder = new BrotliCoder();

        engine.Restart(keepArena: false);

        AssertAllThere(engine);
    }

    [Fact]
    public void What_was_encoded_is_there_after_a_crash()
    {
        using var engine = Filled();
        using var image = new CrashImage(engine);

        using var next = image.Open(CrashImage.ArenaOf(_arena, diskBytes: 64 << 20), _coder);

        AssertAllThere(next);
        Assert.InRange(next.Engine.Snapshot().Coding.Codecs.Sum(codec => codec.DecodedBlocks), 1, long.MaxValue);
    }

    [Fact]
    public void What_does_not_decode_is_a_miss_and_can_be_written_again()
    {
        using var engine = Filled();
        _coder.Forgets = true;
        var lost = Enumerable.Range(0, Blocks).First(index => IsOnDiskOnly(engine, index));

        Assert.Null(engine.Get(KeyOf(lost)));
        Assert.False(engine.Engine.TryInspect(engine.Tenant, KeyOf(lost), out _));
        Assert.InRange(engine.Engine.Snapshot().Integrity.QuarantinedBlocks, 1, long.MaxValue);

        _coder.Forgets = false;
        Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(lost), PayloadOf(lost)));
        Assert.Equal(PayloadOf(lost), engine.Get(KeyOf(lost)));
    }

    [Fact]
    public void What_decodes_to_other_bytes_is_never_given()
    {
        using var engine = Filled();
        _coder.SpoilsDecoded = payload => payload[17] ^= 4;
        foreach (var index in Enumerable.Range(0, Blocks).Where(index => IsOnDiskOnly(engine, index)).ToList())
        {
            // Others may be evicted, and their copies fail too, while these are read.
            var read = engine.Get(KeyOf(index));
            Assert.Null(read);
        }
    }

    [Fact]
    public void Removed_and_replaced_values_stay_so_when_they_were_encoded()
    {
        using var engine = Filled();
        var removed = Enumerable.Range(0, Blocks).First(index => IsOnDiskOnly(engine, index));
        Assert.True(engine.Engine.Remove(engine.Tenant, KeyOf(removed)));

        engine.Restart(keepArena: false);

        Assert.Null(engine.Get(KeyOf(removed)));
    }

    [Fact]
    public void A_block_on_disk_is_given_as_it_lies_encoded()
    {
        using var engine = Filled();
        var index = Enumerable.Range(0, Blocks).First(index => IsOnDiskOnly(engine, index));
        var loaded = engine.Engine.Snapshot().Coding.Codecs.Sum(codec => codec.DecodedBlocks);

        Assert.True(engine.Engine.TryReadEncoded(engine.Tenant, KeyOf(index), Kinds, losslessOnly: true, out var read));

        Assert.Equal((BrotliCoder.Id, PayloadBytes, null), (read.Codec, read.BlockBytes, read.Loss));
        Assert.InRange(read.Payload.Length, 1, PayloadBytes / 2);
        Assert.Equal(-1, ChecksumTable.FirstMismatch(read.Payload, read.Checksums));
        Assert.Equal(read.TableChecksum, ChecksumTable.Seal(read.Checksums));
        var payload = new byte[PayloadBytes];
        Assert.True(_coder.TryDecode(read.Payload, payload, out _));
        Assert.Equal(PayloadOf(index), payload);
        var table = new uint[ChecksumTable.EntryCount(PayloadBytes)];
        ChecksumTable.Compute(payload, table);
        Assert.Equal(read.BlockTableChecksum, ChecksumTable.Seal(table));
        read.Dispose();
        Assert.True(IsOnDiskOnly(engine, index));
        Assert.Equal(loaded, engine.Engine.Snapshot().Coding.Codecs.Sum(codec => codec.DecodedBlocks));
    }

    [Fact]
    public void What_is_in_RAM_unknown_to_the_client_or_not_here_is_not_given_encoded()
    {
        using var engine = Filled();
        var below = Enumerable.Range(0, Blocks).First(index => IsOnDiskOnly(engine, index));
        var above = Enumerable.Range(0, Blocks).First(index => engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out var info) && info.Tiers != BlockTiers.Disk);

        Assert.False(engine.Engine.TryReadEncoded(engine.Tenant, KeyOf(below), CodecKinds.Of([1, 2, 3]), losslessOnly: false, out _));
        Assert.False(engine.Engine.TryReadEncoded(engine.Tenant, KeyOf(above), Kinds, losslessOnly: false, out _));
        Assert.False(engine.Engine.TryReadEncoded(engine.Tenant, KeyOf(Blocks), Kinds, losslessOnly: false, out _));
        Assert.True(engine.Engine.TryReadEncoded(engine.Tenant, KeyOf(below), Kinds, losslessOnly: false, out var read));
        read.Dispose();
    }

    [Fact]
    public void Whoever_finds_too_many_out_reads_as_ever()
    {
        using var engine = Filled();
        var below = Enumerable.Range(0, Blocks).First(index => IsOnDiskOnly(engine, index));
        var reads = new List<EncodedRead>();
        while (engine.Engine.TryReadEncoded(engine.Tenant, KeyOf(below), Kinds, losslessOnly: false, out var read))
        {
            reads.Add(read);
            Assert.InRange(reads.Count, 1, 64);
        }

        Assert.Equal(PayloadOf(below), engine.Get(KeyOf(below)));
        reads.ForEach(read => read.Dispose());
    }

    [Fact]
    public void How_a_block_lies_on_disk_is_told()
    {
        using var engine = Filled();
        var below = Enumerable.Range(0, Blocks).First(index => IsOnDiskOnly(engine, index));

        Assert.True(engine.Engine.TryInspect(engine.Tenant, KeyOf(below), out var info));

        Assert.Equal(BrotliCoder.Id, info.OnDisk?.Codec);
        Assert.InRange(info.OnDisk?.Bytes ?? 0, 1, PayloadBytes / 2);
    }

    [Fact]
    public void Without_a_coder_what_was_encoded_is_not_there()
    {
        using var engine = Filled();
        var encoded = Enumerable.Range(0, Blocks).First(index => IsOnDiskOnly(engine, index));
        engine.DiskCoder = null;

        engine.Restart(keepArena: false);

        Assert.Null(engine.Get(KeyOf(encoded)));
    }

    private static byte[] KeyOf(int index) => BitConverter.GetBytes(index);

    /// <summary>Different for each block, and a few times shorter when encoded.</summary>
    private static byte[] PayloadOf(int index)
    {
        var payload = DiskCodingTests.Compressible(PayloadBytes);
        BitConverter.TryWriteBytes(payload, index);
        return payload;
    }

    private static bool IsOnDiskOnly(TestEngine engine, int index) =>
        engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out var info) && info.Tiers == BlockTiers.Disk;

    private static void AssertAllThere(TestEngine engine)
    {
        for (var index = 0; index < Blocks; index++)
        {
            Assert.Equal(PayloadOf(index), engine.Get(KeyOf(index)));
        }
    }

    /// <summary>An engine with more blocks than its RAM holds, all of which are somewhere.</summary>
    private TestEngine Filled(CodingAdvice advice = CodingAdvice.Encode)
    {
        _coder.Advice = advice;
        var engine = new TestEngine(
            options =>
            {
                CrashImage.ArenaOf(_arena, diskBytes: 64 << 20)(options);
                options.Disk.EncodeShare = 1;
            },
            diskCoder: _coder);
        for (var index = 0; index < Blocks; index++)
        {
            engine.PutContent(KeyOf(index), PayloadOf(index));
            Eventually.HoldsBlocking(() => DiskMoverTests.IsCleanAhead(engine), "the demoter to keep up");
        }

        return engine;
    }
}
