using KvMesh.Gateway.Handover;

namespace KvMesh.Gateway.Tests.Handover;

public sealed class HandoverFrameTests
{
    [Fact]
    public void Reads_what_it_writes()
    {
        var head = HandoverFrame.Write(1, HandoverVerb.Connections, "body"u8, 3);
        var frame = HandoverFrame.Read(head);
        HandoverFrame.Verify(head, "body"u8);

        Assert.Equal(new HandoverFrame(1, HandoverVerb.Connections, 4, 3, frame.Checksum), frame);
        Assert.Equal("4B-56-48-4F-01-00-05-00-04-00-00-00-03-00-00-00", BitConverter.ToString(head, 0, 16));
    }

    [Fact]
    public void Any_changed_bit_is_noticed()
    {
        var head = HandoverFrame.Write(1, HandoverVerb.Listeners, "body"u8, 2);
        for (var bit = 0; bit < head.Length * 8; bit++)
        {
            var damaged = (byte[])head.Clone();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Throws<HandoverException>(() =>
            {
                _ = HandoverFrame.Read(damaged);
                HandoverFrame.Verify(damaged, "body"u8);
            });
        }

        Assert.Throws<HandoverException>(() => HandoverFrame.Verify(head, "bodi"u8));
    }

    [Fact]
    public void A_frame_over_the_limits_is_refused_before_anything_is_allocated()
    {
        var large = HandoverFrame.Write(1, HandoverVerb.Listeners, [], 0);
        BitConverter.TryWriteBytes(large.AsSpan(8), HandoverFrame.MaxBodyBytes + 1);
        var crowded = HandoverFrame.Write(1, HandoverVerb.Listeners, [], HandoverFrame.MaxDescriptors + 1);

        Assert.Contains("4194305 bytes", Assert.Throws<HandoverException>(() => HandoverFrame.Read(large)).Message, StringComparison.Ordinal);
        Assert.Contains("33 descriptors", Assert.Throws<HandoverException>(() => HandoverFrame.Read(crowded)).Message, StringComparison.Ordinal);
    }
}
