using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Host;
using KvMesh.Engine.Integrity;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Integrity;

/// <summary>Encoded bytes in RAM that change: the copy goes, but never while somebody makes of its block what it says.</summary>
public sealed class EncodedScrubTests : IDisposable
{
    private static readonly byte[] Payload = [.. new byte[50_000], .. TestBytes.Payload(1, 10_000)];

    private readonly RoundingCoder _coder = new();
    private readonly TestEngine _engine;
    private readonly HostEncoder _encoder;
    private readonly EngineHost _parts;
    private readonly Scrubber _scrubber;

    public EncodedScrubTests()
    {
        _engine = new TestEngine(
            options =>
            {
                options.HostCoding.EncodeFrom = 1;
                options.MaxBlocks = 1024;
            },
            hostCoder: _coder);
        _parts = _engine.Engine.Parts;
        _encoder = new HostEncoder(_coder, _parts.Registry, _parts.Evictor, new CodingCounters(), _engine.Options.HostCoding, TimeProvider.System);
        _scrubber = new Scrubber(_engine.Engine, _parts.Registry, _parts.Counters, bytesPerSecond: 1L << 40);
    }

    public void Dispose()
    {
        _encoder.Dispose();
        _engine.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_bad_copy_goes_when_nobody_moves_its_block(bool isResident)
    {
        var block = PutSpoiled(isResident);
        Assert.True(block.TryClaim(isResident));

        Pass();
        Assert.NotNull(block.Encoded);
        block.UnclaimAndCheckFree(isResident);
        Pass();

        Assert.Null(block.Encoded);
        Assert.Equal(!isResident, block.IsDead);
        Assert.Null(block.Loss);
        Assert.Equal(isResident ? Payload : null, _engine.Get("key"u8));
        Assert.Equal(1, _engine.Engine.Snapshot().Integrity.Mismatches);
        Assert.Equal(0, _engine.Engine.Snapshot().EncodedBlocks);
    }

    [Fact]
    public void A_reader_of_the_raw_bytes_is_no_hindrance()
    {
        var block = PutSpoiled(isResident: true);
        Assert.True(_engine.Engine.TryRead(_engine.Tenant, "key"u8, ReadIntent.Use, out var read));
        using (read)
        {
            Pass();

            Assert.Null(block.Encoded);
            Assert.Equal(Payload, read.Payload.ToArray());
        }
    }

    private Block PutSpoiled(bool isResident)
    {
        _coder.IsExact = true;
        Assert.Equal(SealStatus.Sealed, _engine.PutContent("key"u8, Payload));
        Assert.True(_encoder.EncodeNext(_engine.Tenant));
        var block = _parts.Registry.Find(_engine.Tenant, "key"u8)!;
        if (!isResident)
        {
            Assert.True(block.TryClaim(resident: true));
            var extent = _parts.Registry.Displace(block);
            block.UnclaimAndCheckFree(resident: false);
            block.Tenant.Host.Free(block.Tenant, extent, wasPublished: false);
        }

        var copy = block.Encoded!;
        block.Tenant.Host.Arena.Data(copy.Extent.Offset + Extent.PayloadOffset(copy.Form.PayloadBytes), copy.Form.PayloadBytes)[7] ^= 1;
        return block;
    }

    private void Pass()
    {
        for (var from = _parts.Counters.ScrubPasses; _parts.Counters.ScrubPasses < from + 1;)
        {
            _scrubber.Step();
        }
    }
}
