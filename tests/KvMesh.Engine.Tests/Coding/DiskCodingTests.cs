using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Engine.Tests.Disk;
using KvMesh.Engine.Tiering;
using KvMesh.Protocol.Integrity;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Engine.Tests.Coding;

/// <summary>One block on its way to a simulated disk and back, with coders that work and that do not.</summary>
public sealed class DiskCodingTests : IDisposable
{
    private const int PayloadBytes = 300_000;
    private static readonly DiskOptions Options = new() { Directory = "disk", CapacityBytes = 64 << 20, SegmentBytes = 16 << 20, RunsMaintenance = false };

    private readonly TemporaryDirectory _directory = new();
    private readonly SimulatedFileSystem _files = new(new Random(1));
    private readonly BrotliCoder _coder = new();
    private readonly CodingCounters _counters = new();
    private readonly EngineHost _host;
    private readonly DiskTier _disk;
    private readonly DiskCoding _coding;
    private readonly DemotionWriter _writer;

    public DiskCodingTests()
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
        _disk = DiskTier.Open(
            Options, Guid.NewGuid(), _files, new DiskReclaim(_host.Registry, _host.Tenants, TimeProvider.System), (in record, location) => false,
            TimeProvider.System, NullLogger.Instance);
        _host.Registry.UseDisk(_disk);
        _coding = new DiskCoding(_coder, _disk, _counters, encodeShare: 1, TimeProvider.System);
        _writer = new DemotionWriter(_disk, _host.Registry, _host.Counters, _coding.Encoder);
    }

    [Theory]
    [InlineData(20_000)]
    [InlineData(PayloadBytes)]
    public void A_block_is_shorter_on_disk_and_comes_back_bit_by_bit(int payloadBytes)
    {
        var block = Demoted(payloadBytes);

        Assert.True(_disk.IsEncoded(block.Disk, out _));
        Assert.InRange(_disk.Snapshot().LiveBytes, 1, payloadBytes / 2);
        Assert.True(Loads(block, out var payload));
        Assert.Equal(Compressible(payloadBytes), payload);
        var codec = Assert.Single(_counters.ToSnapshot().Codecs);
        Assert.Equal((BrotliCoder.Name, 1L, (long)payloadBytes, 1L), (codec.Name, codec.EncodedBlocks, codec.EncodedFromBytes, codec.DecodedBlocks));
        Assert.InRange(codec.EncodedToBytes, 1, payloadBytes / 2);
    }

    [Fact]
    public void A_policy_of_raw_writes_the_block_as_it_lies()
    {
        _coder.Advice = CodingAdvice.Raw;

        var block = Demoted(PayloadBytes);

        Assert.False(_disk.IsEncoded(block.Disk, out _));
        Assert.All(_counters.ToSnapshot().Fallbacks, fallback => Assert.Equal(0, fallback.Blocks));
    }

    [Theory]
    [InlineData(CodingAdvice.UnknownLayout, "unknown-layout")]
    [InlineData(CodingAdvice.WrongSize, "wrong-size")]
    public void A_block_that_cannot_be_encoded_is_written_as_it_lies_and_counted(CodingAdvice advice, string reason)
    {
        _coder.Advice = advice;

        var block = Demoted(PayloadBytes);

        Assert.False(_disk.IsEncoded(block.Disk, out _));
        Assert.Equal(1, Fallbacks(reason));
    }

    [Fact]
    public void What_does_not_become_shorter_is_written_as_it_lies()
    {
        var block = Put(TestBytes.Payload(1, PayloadBytes));
        Assert.True(_writer.TryWrite(block) && _writer.Flush());

        Assert.False(_disk.IsEncoded(block.Disk, out _));
        Assert.Equal(1, Fallbacks("no-gain"));
    }

    [Fact]
    public void A_codec_that_loses_a_bit_is_not_believed()
    {
        _coder.SpoilsEncoded = payload => payload[^1] ^= 1;

        var block = Demoted(PayloadBytes);

        Assert.False(_disk.IsEncoded(block.Disk, out _));
        Assert.Equal(1, Fallbacks("mismatch"));
    }

    [Fact]
    public void A_bit_that_turned_over_in_memory_does_not_become_part_of_an_encoded_block()
    {
        var block = Put(Compressible(PayloadBytes));
        Trailer.Payload(block.Tenant.Host.Arena, block.Extent, PayloadBytes)[5] ^= 1;

        Assert.True(_writer.TryWrite(block) && _writer.Flush());

        Assert.False(_disk.IsEncoded(block.Disk, out _));
        Assert.Equal(1, Fallbacks("mismatch"));
    }

    [Fact]
    public void A_stop_writes_blocks_as_they_lie()
    {
        var block = Put(Compressible(PayloadBytes));

        Assert.True(_writer.TryWrite(block, mayEncode: false) && _writer.Flush());

        Assert.False(_disk.IsEncoded(block.Disk, out _));
    }

    [Fact]
    public void Bytes_that_decode_to_others_are_none_of_the_block()
    {
        var block = Demoted(PayloadBytes);
        _coder.SpoilsDecoded = payload => payload[PayloadBytes / 2] ^= 0x10;

        Assert.False(Loads(block, out _));
        Assert.Equal(1, _counters.ToSnapshot().UndecodableBlocks);
    }

    [Fact]
    public void Bytes_that_do_not_decode_are_none_of_the_block()
    {
        var block = Demoted(PayloadBytes);
        _coder.Forgets = true;

        Assert.False(Loads(block, out _));
        Assert.Equal(1, _counters.ToSnapshot().UndecodableBlocks);
    }

    [Fact]
    public void Damage_of_encoded_bytes_is_found_before_they_are_decoded()
    {
        var block = Demoted(PayloadBytes);
        _files.Flip($"segment-{block.Disk.Segment:D8}.kvm", block.Disk.Offset + 4096 + 2048 + 1000);

        Assert.False(Loads(block, out _));
        Assert.Equal(0, _counters.ToSnapshot().UndecodableBlocks);
    }

    [Fact]
    public void A_block_that_is_written_raw_after_it_was_encoded_is_read_as_it_is_then()
    {
        var block = Demoted(PayloadBytes);
        var before = block.Disk;
        _coder.Advice = CodingAdvice.Raw;
        Volatile.Write(ref block.IsExpiryNewer, true);

        Assert.True(_writer.TryWrite(block) && _writer.Flush());

        Assert.NotEqual(before, block.Disk);
        Assert.False(_disk.IsEncoded(block.Disk, out _));
        Assert.False(_disk.IsEncoded(before, out _));
    }

    public void Dispose()
    {
        _writer.Dispose();
        _coding.Dispose();
        _disk.Dispose();
        _host.Dispose();
        _directory.Dispose();
    }

    /// <summary>The same bytes again and again, and in a long one a third that cannot be shortened.</summary>
    internal static byte[] Compressible(int bytes)
    {
        byte[] payload = [.. Enumerable.Range(0, bytes).Select(index => (byte)((index % 97) + (index >> 12)))];
        new Random(bytes).NextBytes(payload.AsSpan(0, bytes < 100_000 ? 0 : bytes / 3));
        return payload;
    }

    private long Fallbacks(string reason) => _counters.ToSnapshot().Fallbacks.Single(fallback => fallback.Reason == reason).Blocks;

    private Block Demoted(int payloadBytes)
    {
        var block = Put(Compressible(payloadBytes));
        Assert.True(_writer.TryWrite(block) && _writer.Flush());
        Assert.True(block.IsOnDisk);
        return block;
    }

    /// <summary>Reads the record of a block into an extent of its own.</summary>
    private bool Loads(Block block, out byte[] payload)
    {
        payload = [];
        var host = block.Tenant.Host;
        var bytes = Extent.BytesFor(block.PayloadBytes, Trailer.NameBytes(block.Scope, block.Key.Length));
        Assert.True(_host.Evictor.TryAllocate(block.Tenant, bytes, out var extent));
        Assert.True(_disk.IsEncoded(block.Disk, out var storedBytes));
        var isLoaded = _coding.Decoder.TryLoad(block, block.Disk, storedBytes, host, extent);
        if (isLoaded)
        {
            payload = Trailer.Payload(host.Arena, extent, block.PayloadBytes).ToArray();
            Assert.Equal(-1, ChecksumTable.FirstMismatch(payload, Trailer.Table(host.Arena, extent, block.PayloadBytes)));
        }

        host.Free(block.Tenant, extent, wasPublished: false);
        return isLoaded;
    }

    private Block Put(byte[] payload)
    {
        var blocks = new BlockWriter(_host.Registry, _host.Evictor, _host.Counters, maxBlockBytes: 1 << 24);
        Assert.Equal(ReserveStatus.Reserved, blocks.TryReserve(_host.Tenants.All[0], "key"u8, payload.Length, BlockTraits.Opaque, out var reservation));
        payload.CopyTo(reservation!.Payload);
        ChecksumTable.Compute(reservation.Payload, reservation.Checksums);
        Assert.Equal(SealStatus.Sealed, blocks.Seal(reservation.End(), default));
        return reservation.Block;
    }
}
