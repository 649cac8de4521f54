using KvMesh.Protocol.Native;
using KvMesh.Protocol.Placement;

namespace KvMesh.Protocol.Tests.Native;

public sealed class PlacementMessageTests
{
    /// <summary>Reads a head and writes it again; null: it is refused.</summary>
    private delegate Action<FrameWriter>? Reader(ReadOnlySpan<byte> head);

    private static readonly Dictionary<string, Reader> Readers = new()
    {
        ["node-report-request"] = static head => NodeReportRequest.TryRead(head, out var message) ? message.Write : null,
        ["node-report-response"] = static head => NodeReport.TryRead(head, out var message) ? message.Write : null,
        ["order-give-request"] = static head => OrderGiveRequest.TryRead(head, out var message) ? message.Write : null,
        ["order-give-response"] = static head => OrderAnswer.TryRead(head, out var message) ? message.Write : null,
        ["order-cancel-request"] = static head => OrderCancelRequest.TryRead(head, out var message) ? message.Write : null,
        ["order-progress-request"] = static head => OrderProgressRequest.TryRead(head, out var message) ? message.Write : null,
        ["order-progress-response"] = static head => OrderProgress.TryReadAll(head, out var message) ? writer => OrderProgress.WriteAll(writer, message) : null,
        ["chain-request"] = static head => ChainRequest.TryRead(head, out var message) ? message.Write : null,
        ["chain-response"] = static head => ChainAnswer.TryRead(head, out var message) ? message.Write : null,
        ["hold-request"] = static head => HoldRequest.TryRead(head, out var message) ? message.Write : null,
        ["hold-response"] = static head => HoldAnswer.TryRead(head, out var message) ? message.Write : null,
        ["drain-request"] = static head => DrainRequest.TryRead(head, out var message) ? message.Write : null,
        ["drain-response"] = static head => DrainAnswer.TryRead(head, out var message) ? message.Write : null,
        ["leaving-request"] = static head => LeavingRequest.TryRead(head, out var message) ? message.Write : null,
        ["leaving-response"] = static head => LeavingRun.TryRead(head, out var message) ? message.Write : null,
        ["desk-request"] = static head => DeskRequest.TryRead(head, out var message) ? message.Write : null,
    };

    public static TheoryData<string> Names => [.. Readers.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_message_is_read_as_it_was_written_and_no_part_of_it_is(string name)
    {
        var head = HeadOf(Frames.All[name]);
        var written = Readers[name](head);
        Assert.NotNull(written);
        Assert.Equal(head, HeadOf(Frames.Build(Verb.Ping, FrameFlags.None, NativeStatus.Ok, written)));
        for (var cut = 0; cut < head.Length; cut++)
        {
            Assert.True(Readers[name](head.AsSpan(0, cut)) is null, $"{name} was understood without its last {head.Length - cut} bytes");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void No_bytes_make_a_reader_fail(string name)
    {
        var random = new Random(name.Length);
        var head = HeadOf(Frames.All[name]);
        for (var round = 0; round < 1000; round++)
        {
            var bytes = head.ToArray();
            for (var change = random.Next(1, 6); change > 0; change--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            foreach (var reader in Readers.Values)
            {
                reader(bytes.AsSpan(0, random.Next(bytes.Length + 1)));
            }
        }
    }

    [Fact]
    public void An_order_of_more_blocks_than_a_message_holds_is_refused()
    {
        var keys = Enumerable.Range(0, PlacementLimits.MaxRunBlocks + 1).Select(index => (ReadOnlyMemory<byte>)Frames.Scope.KeyOf(Hash(index))).ToArray();

        Assert.Equal(PlacementLimits.MaxRunBlocks, PlacementKeys.CountThatFits(keys));
        Assert.True(OrderGiveRequest.TryRead(HeadOf(Give(keys[..^1])), out var order));
        Assert.Equal(PlacementLimits.MaxRunBlocks, order.Keys.Count);
        Assert.False(OrderGiveRequest.TryRead(HeadOf(Give(keys)), out _));
    }

    [Fact]
    public void Long_opaque_keys_are_cut_where_a_head_ends()
    {
        var keys = Enumerable.Range(0, PlacementLimits.MaxRunBlocks).Select(index => (ReadOnlyMemory<byte>)Enumerable.Repeat((byte)index, Limits.MaxKeyBytes).ToArray()).ToArray();

        var count = PlacementKeys.CountThatFits(keys);

        Assert.InRange(count, 200, 230);
        Assert.True(OrderGiveRequest.TryRead(HeadOf(Give(keys[..count])), out var order));
        Assert.Equal(keys[..count].Select(key => key.ToArray()), order.Keys.Select(key => key.ToArray()));
    }

    private static byte[] Give(ReadOnlyMemory<byte>[] keys) => Frames.Build(Verb.OrderGive, FrameFlags.None, NativeStatus.Ok, new OrderGiveRequest(1, 1, 1, "red", keys).Write);

    private static byte[] Hash(int index)
    {
        var hash = new byte[Limits.ChainHashBytes];
        BitConverter.TryWriteBytes(hash, index + 1);
        return hash;
    }

    private static byte[] HeadOf(byte[] frame)
    {
        var receiver = new FrameReceiver();
        Assert.Equal(FrameArrival.Frame, receiver.Next(new MemoryChannel(frame), out _));
        return receiver.Head.ToArray();
    }
}
