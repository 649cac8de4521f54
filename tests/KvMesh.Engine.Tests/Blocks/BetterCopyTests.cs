using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

/// <summary>An exact block takes the place of a lossy one: what was promised of that one is promised of it.</summary>
public sealed class BetterCopyTests
{
    private static readonly TimeSpan Promise = TimeSpan.FromHours(1);

    private readonly SimulatedClock _time = new();
    private readonly RoundingCoder _coder = new();

    private long Until => (_time.GetUtcNow() + Promise).ToUnixTimeMilliseconds();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_promise_goes_over_to_the_better_copy_and_to_the_next_process(bool byPin)
    {
        using var engine = new StillEngine(_coder, time: _time);
        var lossy = PutLossy(engine);
        Promised(engine, lossy, byPin);

        var exact = engine.Put(1);

        Assert.True(lossy.IsDead);
        Assert.Equal(Until, byPin ? exact.HeldUntil : exact.LeaseUntil);
        Assert.Equal(Until, engine.Tenant.Host.Arena.Descriptor(exact.Extent.Descriptor).LeaseUntil);
        AssertHeld(engine, exact, byPin);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_promise_that_is_made_while_the_better_copy_comes_goes_over_too(bool byPin)
    {
        using var engine = new StillEngine(_coder, time: _time);
        var lossy = PutLossy(engine);
        var exact = engine.Reserve(1);

        var status = engine.Registry.Publish(exact, default, block =>
        {
            BlockWriter.PublishDescriptor(block);

            // Another thread has found the lossy block and promises to keep it.
            Promised(engine, lossy, byPin);
        });

        Assert.Equal(SealStatus.Sealed, status);
        engine.Tenant.Host.Retain(exact);
        Assert.True(lossy.IsDead);
        Assert.Equal(Until, engine.Tenant.Host.Arena.Descriptor(exact.Extent.Descriptor).LeaseUntil);
        AssertHeld(engine, exact, byPin);
    }

    [Fact]
    public void What_a_pin_keeps_is_kept_and_given_back_once_whatever_takes_its_place()
    {
        using var engine = new TestEngine(options => options.HostCoding.EncodeFrom = 1, hostCoder: _coder);
        var parts = engine.Engine.Parts;
        using var encoder = new HostEncoder(_coder, parts.Registry, parts.Evictor, new CodingCounters(), engine.Options.HostCoding, TimeProvider.System);
        engine.PutContent("key"u8, StillEngine.PayloadOf(1));
        Assert.True(encoder.EncodeNext(engine.Tenant));
        var block = parts.Registry.Find(engine.Tenant, "key"u8)!;
        Assert.True(block.TryClaim(resident: true));
        var extent = parts.Registry.Displace(block);
        block.UnclaimAndCheckFree(resident: false);
        block.Tenant.Host.Free(block.Tenant, extent, wasPublished: false);
        Assert.Equal(HoldStatus.Held, engine.Engine.TryHold(engine.Tenant, "key"u8, Promise));

        Assert.Equal(SealStatus.Sealed, engine.PutContent("key"u8, StillEngine.PayloadOf(1)));

        var successor = parts.Registry.Find(engine.Tenant, "key"u8)!;
        Assert.NotSame(block, successor);
        Assert.Equal(1, engine.Engine.Snapshot().HeldBlocks);
        Assert.NotEqual(0, successor.HeldUntil);
        Assert.Equal(HoldStatus.Held, engine.Engine.TryHold(engine.Tenant, "key"u8, 2 * Promise));
        Assert.Equal(1, engine.Engine.Snapshot().HeldBlocks);
        engine.Engine.Release(engine.Tenant, "key"u8);
        Assert.Equal((0, 0L), (engine.Engine.Snapshot().HeldBlocks, engine.Engine.Snapshot().HeldBytes));
    }

    private static void Promised(StillEngine engine, Block block, bool byPin)
    {
        var until = (engine.Time.GetUtcNow() + Promise).ToUnixTimeMilliseconds();
        if (byPin)
        {
            Assert.True(engine.Host.Holds.TryHold(block, until));
        }
        else
        {
            block.LeaseUntil = until;
        }
    }

    private static Block PutLossy(StillEngine engine)
    {
        var block = engine.PutEncoded(1);
        engine.Displace(block);
        Assert.Equal(RoundingCoder.Loss, block.Loss);
        return block;
    }

    /// <summary>The block stays while others come and go; a pin's bytes are given back with it.</summary>
    private void AssertHeld(StillEngine engine, Block block, bool byPin)
    {
        _coder.Advice = CodingAdvice.Raw;
        for (var index = 10; index < 80; index++)
        {
            engine.Put(index);
        }

        Assert.False(block.IsDead);
        Assert.True(block.IsResident);
        Assert.Null(block.Loss);
        Assert.Equal(byPin ? (1, block.HeldBytes) : (0, 0), (engine.Host.Holds.Blocks, engine.Host.Holds.HeldBytes));
        engine.Host.Holds.Release(block);
        Assert.Equal((0, 0L), (engine.Host.Holds.Blocks, engine.Host.Holds.HeldBytes));
    }
}
