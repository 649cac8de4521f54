using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Coding;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Coding;

/// <summary>Who fails in his turn gives it back: after more failures than there are turns others get theirs.</summary>
public sealed class TurnsTests
{
    private const int Failures = 40;

    private readonly RoundingCoder _coder = new() { IsExact = true };

    [Fact]
    public void A_disk_that_throws_keeps_no_turn_of_the_door()
    {
        using var engine = new StillEngine(_coder, diskCoder: _coder);
        var block = PutShort(engine);
        var kinds = CodecKinds.Of([48]);
        engine.Files.Fault = (operation, _) => operation == "read" ? throw new InvalidOperationException("broken") : FileStatus.Ok;

        for (var count = 0; count < Failures; count++)
        {
            Assert.Throws<InvalidOperationException>(() => engine.Door.TryRead(block, kinds, out _));
        }

        engine.Files.Fault = null;
        Assert.True(engine.Door.TryRead(block, kinds, out var read));
        read.Dispose();
    }

    [Fact]
    public void A_coder_that_throws_keeps_no_turn_and_no_memory()
    {
        var counters = new CodingCounters();
        using var engine = new StillEngine(_coder, diskCoder: _coder);
        var block = PutShort(engine);
        using var decoder = new PayloadDecoder(_coder, engine.Disk, counters, engine.Time);
        Assert.True(engine.Disk.IsEncoded(block.Disk, out var storedBytes));
        var bytes = Extent.BytesFor(block.PayloadBytes, Trailer.NameBytes(block.Scope, block.Key.Length));
        Assert.True(engine.Host.Evictor.TryAllocate(block.Tenant, bytes, out var extent));
        _coder.SpoilsDecoded = _ => throw new InvalidOperationException("broken");

        for (var count = 0; count < Failures; count++)
        {
            Assert.Throws<InvalidOperationException>(() => decoder.TryLoad(block, block.Disk, storedBytes, block.Tenant.Host, extent));
        }

        _coder.SpoilsDecoded = null;
        Assert.True(decoder.TryLoad(block, block.Disk, storedBytes, block.Tenant.Host, extent));
        block.Tenant.Host.Free(block.Tenant, extent, wasPublished: false);
    }

    /// <summary>A block that becomes shorter without a loss, in RAM and on disk.</summary>
    private static Block PutShort(StillEngine engine)
    {
        var traits = BlockTraits.Content("model", "1", default);
        Assert.Equal(ReserveStatus.Reserved, engine.Blocks.TryReserve(engine.Tenant, "short"u8, StillEngine.PayloadBytes, traits, out var reservation));
        reservation!.Payload.Clear();
        KvMesh.Protocol.Integrity.ChecksumTable.Compute(reservation.Payload, reservation.Checksums);
        var block = reservation.End();
        Assert.Equal(SealStatus.Sealed, engine.Blocks.Seal(block, default));
        engine.Write(block);
        Assert.True(engine.Disk.IsEncoded(block.Disk, out _));
        return block;
    }
}
