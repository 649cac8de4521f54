using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.Protocol.Tests.Native;

public sealed class HolderMessageTests
{
    [Fact]
    public void An_answer_to_a_wait_is_read_as_it_was_written()
    {
        HolderAsk[] asks = [new(7, HolderAskKind.Give, true, 4096, 250, "a key"u8.ToArray()), new(0, HolderAskKind.ForgetAll, false, 0, 0, default)];
        var head = Write(asks);

        Assert.True(HolderAsk.TryReadAll(head, out var removals, out var read));

        Assert.Equal(9ul, removals);
        Assert.Equal(asks.Select(Text), read.Select(Text));
        Assert.False(HolderAsk.TryReadAll(head.AsSpan(1), out _, out _));
        Assert.False(HolderAsk.TryReadAll([.. head, 0], out _, out _));
    }

    [Fact]
    public void More_entries_than_may_be_are_none()
    {
        var asks = Enumerable.Range(1, HolderLimits.MaxAsksPerAnswer + 1).Select(number => new HolderAsk((ulong)number, HolderAskKind.Give, false, 1, 1, default)).ToArray();

        Assert.False(HolderAsk.TryReadAll(Write(asks), out _, out _));
        Assert.True(HolderAsk.TryReadAll(Write(asks[1..]), out _, out _));
    }

    [Fact]
    public void An_unknown_kind_is_no_entry() => Assert.False(HolderAsk.TryReadAll(Write([new(7, (HolderAskKind)9, false, 1, 1, default)]), out _, out _));

    [Theory]
    [InlineData(null, null)]
    [InlineData("llama", null)]
    [InlineData("llama", "")]
    [InlineData(null, "r1")]
    public void A_scope_is_read_as_it_was_written(string? model, string? revision)
    {
        Assert.True(HolderScope.TryRead(new HolderScope(model, revision).ToBytes(), out var scope));
        Assert.Equal(new HolderScope(model, revision), scope);
    }

    [Fact]
    public void A_scope_names_the_blocks_of_its_purge()
    {
        Assert.True(new HolderScope(null, null).Names("llama", "r1"));
        Assert.True(new HolderScope("llama", null).Names("llama", "r1"));
        Assert.False(new HolderScope("llama", "r2").Names("llama", "r1"));
        Assert.False(new HolderScope("qwen", null).Names("llama", "r1"));
    }

    [Fact]
    public void A_head_of_the_most_entries_with_the_longest_keys_fits()
    {
        var asks = Enumerable.Range(1, HolderLimits.MaxAsksPerAnswer).Select(number => new HolderAsk((ulong)number, HolderAskKind.Give, false, 1, 1, new byte[Limits.MaxKeyBytes])).ToArray();

        Assert.InRange(Write(asks).Length, 1, NativeLimits.MaxHeadBytes);
    }

    private static string Text(HolderAsk ask) => $"{ask with { Key = default }} {Convert.ToHexString(ask.Key.Span)}";

    private static byte[] Write(HolderAsk[] asks)
    {
        var writer = new FrameWriter();
        writer.Begin(Verb.HolderAsks, 1, FrameFlags.Response);
        HolderAsk.WriteAll(writer, 9, asks);
        return [.. writer.Pending[FrameHeader.Bytes..]];
    }
}
