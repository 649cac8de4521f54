using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Host;

/// <summary>Raw extents beside encoded copies, and blocks that wait to be encoded: step by step.</summary>
public sealed class ShadowTests
{
    private static readonly TimeSpan Promise = TimeSpan.FromMinutes(1);

    private readonly SimulatedClock _time = new();
    private readonly RoundingCoder _coder = new();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_block_that_was_promised_as_it_is_gives_its_raw_extent_back_when_that_is_over(bool byPin)
    {
        using var engine = new StillEngine(_coder, time: _time);
        var block = engine.PutEncoded(1);
        var until = (_time.GetUtcNow() + Promise).ToUnixTimeMilliseconds();
        if (byPin)
        {
            Assert.True(engine.Host.Holds.TryHold(block, until));
        }
        else
        {
            block.LeaseUntil = until;
        }

        _coder.Advice = CodingAdvice.Raw;
        Block[] fillers = [.. Enumerable.Range(10, 4).Select(index => engine.Put(index))];
        engine.MakeRoom();
        Assert.True(block.IsResident);
        Assert.Null(block.Loss);
        Assert.Contains(fillers, filler => filler.IsDead);

        _time.Advance(2 * Promise);
        engine.MakeRoom();

        Assert.False(block.IsResident);
        Assert.Equal(RoundingCoder.Loss, block.Loss);
        Assert.Equal(0, engine.Raw.Shadows);
        Assert.Equal(RoundingCoder.Lossy(StillEngine.PayloadOf(1)), engine.Read(block));
    }

    [Fact]
    public void Promised_blocks_do_not_keep_others_from_giving_theirs()
    {
        using var engine = new StillEngine(_coder, time: _time);
        Block[] promised = [.. Enumerable.Range(0, 6).Select(engine.PutEncoded)];
        foreach (var block in promised)
        {
            block.LeaseUntil = (_time.GetUtcNow() + Promise).ToUnixTimeMilliseconds();
        }

        var last = engine.PutEncoded(6);
        engine.MakeRoom();

        Assert.False(last.IsResident);
        Assert.All(promised, block => Assert.True(block.IsResident && block.Loss is null));
        Assert.Equal(promised.Length, engine.Raw.Shadows);
    }

    [Fact]
    public void A_place_of_a_raw_extent_that_is_gone_is_forgotten()
    {
        using var engine = new StillEngine(_coder);
        var block = engine.PutEncoded(1);
        engine.Displace(block);

        // Whoever loaded it says so late.
        engine.Raw.AddShadow(block);

        Assert.Null(engine.Raw.TakeShadow());
        Assert.Equal(0, engine.Raw.Shadows);

        // It comes again with its next raw extent.
        Assert.NotNull(engine.Read(block));
        Assert.Equal(1, engine.Raw.Shadows);
    }

    [Fact]
    public void A_block_that_nobody_had_time_to_encode_waits_again()
    {
        var used = TimeSpan.Zero;
        var budget = new EncodeBudget(0.5, _time, () => used);
        var coder = new LateCoder(_coder);
        using var engine = new StillEngine(coder, time: _time, encodeBudget: budget);
        var block = engine.Put(1);

        // Another thread spends what is left between the look at the share and the block.
        coder.BeforeAdvice = () => budget.Spend(TimeSpan.FromSeconds(10));
        Assert.False(engine.Encoder.EncodeNext(engine.Tenant));
        Assert.Null(block.Encoded);
        Assert.Equal(1, engine.Raw.Waiting);

        coder.BeforeAdvice = null;
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.True(engine.Encoder.EncodeNext(engine.Tenant));
        Assert.NotNull(block.Encoded);
        Assert.Equal(0, engine.Raw.Waiting);
    }

    /// <summary>Lets something happen before it answers.</summary>
    private sealed class LateCoder(IPayloadCoder coder) : IPayloadCoder
    {
        public Action? BeforeAdvice { get; set; }

        public CodingAdvice Advise(in CodedBlock block, out int maxBytes)
        {
            BeforeAdvice?.Invoke();
            return coder.Advise(block, out maxBytes);
        }

        public EncodedPayload Encode(in CodedBlock block, ReadOnlySpan<byte> payload, Span<byte> destination) => coder.Encode(block, payload, destination);

        public bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> payload, out string codec) => coder.TryDecode(encoded, payload, out codec);
    }
}
