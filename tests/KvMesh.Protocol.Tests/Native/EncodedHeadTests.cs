using System.Buffers.Binary;
using KvMesh.Protocol.Coding;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.TestKit;

namespace KvMesh.Protocol.Tests.Native;

public sealed class EncodedHeadTests
{
    private const int PayloadBytes = 70_000;
    private const int CodecOffset = 12;
    private const int LossOffset = 16;
    private const int CountOffset = 36;

    private static readonly byte[] Good = Head();

    [Fact]
    public void Reads_what_was_written()
    {
        Assert.True(EncodedHead.TryRead(Good, PayloadBytes, out var head, out var fault));

        Assert.Null(fault);
        Assert.Equal((7u, 131_072u, 0x0A0B0C0Du, (ushort)11, 0x01020304u), (head.Index, head.BlockBytes, head.BlockTableChecksum, head.Codec, head.TableChecksum));
        Assert.Equal(new Loss(14, 0.5f, 0.25f, float.NaN), head.Loss);
        Assert.Equal([1, 0, 0, 0, 2, 0, 0, 0], head.Entries.ToArray());
    }

    [Theory]
    [InlineData(4, 0, "its block bytes are 0; 1 to 134217728 are possible")]
    [InlineData(4, -1, "its block bytes are 4294967295; 1 to 134217728 are possible")]
    [InlineData(4, PayloadBytes, "its payload has 70000 bytes; it must have from 1 to 69999")]
    [InlineData(CodecOffset, 0, "its codec is 0; 1 to 63 are possible")]
    [InlineData(CodecOffset, 64, "its codec is 64; 1 to 63 are possible")]
    [InlineData(CodecOffset, 0x1_000B, "the field behind its codec is 1; it must be 0")]
    [InlineData(LossOffset, 0, "its loss is none that can be measured")]
    [InlineData(LossOffset + 4, unchecked((int)0xBF800000), "its loss is none that can be measured")]
    [InlineData(CountOffset, 1, "its head has 48 bytes")]
    [InlineData(CountOffset, 3, "its head has 48 bytes")]
    [InlineData(CountOffset, -1, "its head has 48 bytes")]
    public void Names_the_field_that_is_wrong(int offset, int value, string fault)
    {
        var head = Good.ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(offset), value);

        Assert.False(EncodedHead.TryRead(head, PayloadBytes, out _, out var named));

        Assert.StartsWith(fault, named, StringComparison.Ordinal);
    }

    [Fact]
    public void A_table_of_another_payload_is_refused()
    {
        Assert.False(EncodedHead.TryRead(Good, 65_536, out _, out var fault));

        Assert.Equal("its table has 2 entries; 1 belong to 65536 bytes", fault);
    }

    [Fact]
    public void Any_bytes_are_read_or_refused() => Fuzz.Run(5000, random =>
    {
        var isRead = EncodedHead.TryRead(Fuzz.Damage(random, Good), random.Next(2) == 0 ? PayloadBytes : random.Next(), out var head, out var fault);
        Assert.Equal(isRead, fault is null);
        Assert.True(!isRead || (head.BlockBytes <= Limits.MaxBlockBytes && head.Codec is > 0 and <= CodecKinds.Max));
    });

    [Fact]
    public void A_set_of_codecs_holds_those_that_it_can_name()
    {
        var kinds = CodecKinds.Of([1, 11, 63, 64, 0]);

        Assert.Equal((1UL << 1) | (1UL << 11) | (1UL << 63), kinds.Bits);
        Assert.True(kinds.Contains(63) && kinds.Contains(11) && !kinds.Contains(0) && !kinds.Contains(64) && !kinds.Contains(12));
        Assert.True(default(CodecKinds).IsEmpty && new CodecKinds(1).IsEmpty && !kinds.IsEmpty);
    }

    private static byte[] Head()
    {
        var frame = Frames.Build(Verb.Get, FrameFlags.Response, NativeStatus.Encoded, writer => new EncodedHead
        {
            Index = 7,
            BlockBytes = 131_072,
            BlockTableChecksum = 0x0A0B0C0D,
            Codec = 11,
            Loss = new Loss(14, 0.5f, 0.25f, float.NaN),
            TableChecksum = 0x01020304,
            Entries = [1, 0, 0, 0, 2, 0, 0, 0],
        }.Write(writer));
        var channel = new MemoryChannel(frame);
        var receiver = new FrameReceiver();
        Assert.Equal(FrameArrival.Frame, receiver.Next(channel, out _));
        return receiver.Head.ToArray();
    }
}
