using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Protocol.Tests.Native;

/// <summary>Frames whole, cut and broken.</summary>
public sealed class FrameReceiverTests
{
    private static readonly byte[] Frame = Frames.All["put-request"];

    [Fact]
    public void Takes_frames_that_arrive_in_pieces_of_any_size()
    {
        byte[] stream = [.. Frames.All.Values.SelectMany(frame => frame)];
        for (var pieceBytes = 1; pieceBytes < 300; pieceBytes++)
        {
            var channel = new MemoryChannel(stream, pieceBytes);
            var receiver = new FrameReceiver();
            foreach (var (name, frame) in Frames.All)
            {
                Assert.Equal(FrameArrival.Frame, receiver.Next(channel, out var header));
                var payload = new byte[header.PayloadBytes];
                receiver.Receive(channel, payload);
                Assert.True(frame.AsSpan().EndsWith(payload), name);
                Assert.Equal(frame.Length, FrameHeader.Bytes + header.HeadSectionBytes + payload.Length);
                Assert.True(receiver.Head.SequenceEqual(frame.AsSpan(FrameHeader.Bytes, header.HeadBytes)), name);
            }

            Assert.Equal(FrameArrival.Closed, receiver.Next(channel, out _));
        }
    }

    [Fact]
    public void A_stream_that_ends_inside_a_frame_is_a_lost_connection()
    {
        for (var length = 1; length < Frame.Length; length++)
        {
            var channel = new MemoryChannel(Frame[..length]);
            Assert.Throws<ChannelException>(() =>
            {
                var receiver = new FrameReceiver();
                receiver.Next(channel, out var header);
                receiver.Receive(channel, new byte[header.PayloadBytes]);
            });
        }
    }

    [Fact]
    public void Every_changed_bit_of_header_and_head_is_noticed()
    {
        Assert.Equal(FrameArrival.Frame, new FrameReceiver().Next(new MemoryChannel(Frame), out var whole));
        for (var bit = 0; bit < (FrameHeader.Bytes + whole.HeadSectionBytes) * 8; bit++)
        {
            var changed = Frame.ToArray();
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            var receiver = new FrameReceiver();
            Assert.Equal(FrameArrival.Broken, receiver.Next(new MemoryChannel(changed), out _));
        }
    }

    [Theory]
    [InlineData(0, 0x4B, FrameFault.WrongMagic)]
    [InlineData(28, 0, FrameFault.WrongHeaderChecksum)]
    public void Says_what_is_wrong_with_a_header(int offset, byte flip, FrameFault fault)
    {
        var changed = Frame.ToArray();
        changed[offset] ^= (byte)(flip | 1);
        var receiver = new FrameReceiver();
        Assert.Equal(FrameArrival.Broken, receiver.Next(new MemoryChannel(changed), out _));
        Assert.Equal(fault, receiver.Fault);
    }

    [Fact]
    public void Refuses_lengths_over_the_limits_and_other_versions()
    {
        Assert.Equal(FrameFault.HeadTooLong, Fault(header => BitConverter.TryWriteBytes(header.AsSpan(24), (uint)NativeLimits.MaxHeadBytes + 1)));
        Assert.Equal(FrameFault.HeadTooLong, Fault(header => BitConverter.TryWriteBytes(header.AsSpan(24), uint.MaxValue)));
        Assert.Equal(FrameFault.PayloadTooLong, Fault(header => BitConverter.TryWriteBytes(header.AsSpan(16), (ulong)NativeLimits.MaxPayloadBytes + 1)));
        Assert.Equal(FrameFault.PayloadTooLong, Fault(header => BitConverter.TryWriteBytes(header.AsSpan(16), ulong.MaxValue)));
        Assert.Equal(FrameFault.UnsupportedVersion, Fault(header => header[4] = 2));
    }

    [Fact]
    public void A_head_stays_readable_while_its_payload_is_taken_or_skipped()
    {
        var receiver = new FrameReceiver();
        var frame = Frames.Build(Verb.Put, FrameFlags.None, NativeStatus.Ok, writer => writer.WriteBytes("the head"u8), new byte[300_000]);
        var channel = new MemoryChannel(frame, 1000);
        receiver.Next(channel, out _);
        receiver.Receive(channel, new byte[100_000]);
        receiver.Skip(channel, 200_000);
        Assert.True(receiver.Head.SequenceEqual("the head"u8));
        Assert.Equal(FrameArrival.Closed, receiver.Next(channel, out _));
    }

    [Fact]
    public void The_longest_head_fits_and_a_longer_one_is_not_written()
    {
        var frame = Frames.Build(Verb.Match, FrameFlags.None, NativeStatus.Ok, writer => writer.Reserve(NativeLimits.MaxHeadBytes).Clear());
        var receiver = new FrameReceiver();
        Assert.Equal(FrameArrival.Frame, receiver.Next(new MemoryChannel(frame, 5000), out var header));
        Assert.Equal(NativeLimits.MaxHeadBytes, header.HeadBytes);
        Assert.Throws<InvalidOperationException>(() =>
            Frames.Build(Verb.Match, FrameFlags.None, NativeStatus.Ok, writer => writer.Reserve(NativeLimits.MaxHeadBytes + 1).Clear()));
    }

    private static FrameFault Fault(Action<byte[]> change)
    {
        var header = Frame[..FrameHeader.Bytes];
        change(header);
        BitConverter.TryWriteBytes(header.AsSpan(28), Crc32C.Compute(header.AsSpan(0, 28)));
        return FrameHeader.TryRead(header, out _);
    }
}
