using KvMesh.Engine.Coding;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Tiering;

/// <summary>Blocks on their way to disk of which some take a codec's time and others only the disk's.</summary>
public sealed class FairTurnsTests
{
    private readonly SimulatedClock _time = new();

    [Fact]
    public void A_turn_of_the_codec_ends_and_what_needs_none_goes_first()
    {
        var coder = new SlowCoder(_time);
        using var engine = new StillEngine(new RoundingCoder { Advice = CodingAdvice.Raw }, diskCoder: coder, time: _time, arenaBytes: 16 << 20);
        var capacity = engine.Tenant.Host.CapacityBytes;
        var last = 0;
        for (; engine.Tenant.Host.AllocatedBytes < capacity / 64 * 2; last++)
        {
            engine.Put(last);
        }

        var raw = engine.Put(last++, losslessOnly: true);
        for (; capacity - engine.Tenant.Host.AllocatedBytes > capacity / 16; last++)
        {
            engine.Put(last);
        }

        engine.Mover.DemoteAhead(engine.Host.Hosts);

        Assert.True(raw.IsOnDisk);
        Assert.InRange(coder.Count, 1, 2);
    }

    /// <summary>Takes 40 milliseconds for a block, where something may be lost, and leaves others as they are.</summary>
    private sealed class SlowCoder(SimulatedClock time) : IPayloadCoder
    {
        private readonly RoundingCoder _coder = new();

        public int Count { get; private set; }

        public CodingAdvice Advise(in CodedBlock block, out int maxBytes)
        {
            maxBytes = 0;
            return block.MustBeExact ? CodingAdvice.Raw : _coder.Advise(block, out maxBytes);
        }

        public EncodedPayload Encode(in CodedBlock block, ReadOnlySpan<byte> payload, Span<byte> destination)
        {
            Count++;
            time.Advance(TimeSpan.FromMilliseconds(40));
            return _coder.Encode(block, payload, destination);
        }

        public bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> payload, out string codec) => _coder.TryDecode(encoded, payload, out codec);
    }
}
